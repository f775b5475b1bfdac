"""What is to be done, and why: inputs, the state of the store, and the plan made of both."""
