"""Several detectors as one artefact: each looks at the picture, their boxes are fused; nothing is trained."""
