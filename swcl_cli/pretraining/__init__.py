"""Train encoders by the methods, and choose their rates: what the step `pretrain` is made of."""
