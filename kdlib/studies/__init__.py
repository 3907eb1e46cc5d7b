"""Studies: what notebooks run on one dataset. The experiment of the main report, points of a sweep, the slow studies."""
