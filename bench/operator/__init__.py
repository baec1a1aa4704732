"""The operator's speed, thrift and size beside Kubeflow Trainer's controller: real API server, fake node."""
