-- What a person may do with the line as it is.
local suspended = obj.spec.suspend == true
local stalled = false
if obj.status ~= nil and obj.status.conditions ~= nil then
  for _, condition in ipairs(obj.status.conditions) do
    if condition.type == "Stalled" and condition.status == "True" then
      stalled = true
    end
  end
end

local actions = {}
actions["suspend"] = { ["disabled"] = suspended, ["iconClass"] = "fa fa-fw fa-pause" }
actions["resume"] = { ["disabled"] = not suspended, ["iconClass"] = "fa fa-fw fa-play" }
actions["retry"] = {
  ["disabled"] = not stalled,
  ["displayName"] = "Retry the failed or held round",
  ["iconClass"] = "fa fa-fw fa-redo",
}
return actions
