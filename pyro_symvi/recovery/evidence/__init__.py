"""What numerics can say: residuals of a symmetry, tails, other modes. It verifies or refutes; it never proves."""
