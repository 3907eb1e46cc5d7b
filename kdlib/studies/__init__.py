"""Studies: what notebooks run on one dataset: the report's experiment, a sweep's points, and the slow studies."""
