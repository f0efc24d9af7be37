"""What is proven: pure functions on integers, and the ONNX graphs of them."""
