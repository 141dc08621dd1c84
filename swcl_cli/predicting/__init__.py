"""What `swcl predict` writes of photographs, beside answers."""
