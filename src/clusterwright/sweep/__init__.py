"""Studies: one kind of question asked many times over, on all cores of a machine or cluster."""
