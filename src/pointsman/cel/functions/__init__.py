"""What generated code calls: operators and the standard and extension functions, one chapter a file."""
