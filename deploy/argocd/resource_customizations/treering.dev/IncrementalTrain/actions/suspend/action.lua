-- No new round starts; a running one leaves a checkpoint and goes on after resume.
obj.spec.suspend = true
return obj
