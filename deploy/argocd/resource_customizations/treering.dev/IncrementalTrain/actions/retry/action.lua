-- Any new value of the annotation is one more try at a round that failed for good or is held.
local os = require("os")
if obj.metadata.annotations == nil then
  obj.metadata.annotations = {}
end
obj.metadata.annotations["treering.dev/retry"] = os.date("!%Y-%m-%dT%H:%M:%SZ")
return obj
