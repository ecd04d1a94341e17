"""What tools wrote about a run, read into the quantities that a plan is made of."""
