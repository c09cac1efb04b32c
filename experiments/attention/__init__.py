"""What needs somebody's attention: plain facts go in, a list of alarms comes out. Knows no Django."""
