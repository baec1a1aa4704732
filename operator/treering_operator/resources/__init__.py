"""Kubernetes objects as plain data, from pure builders: `children.children` is the way in, `names` names them."""
