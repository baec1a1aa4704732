"""What becomes of two detectors of different classes: merged, fused, or tuned one after the other."""
