"""Write models and encoders for other programs: ONNX, TorchScript, and folders that timm loads."""
