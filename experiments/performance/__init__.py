"""How fast an experiment simulates and what it costs, as Autosubmit API defines it. Knows no Django."""
