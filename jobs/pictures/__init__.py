"""Pictures of the jobs of an experiment: where each job is drawn. Pure functions of rows read before; no Django."""
