-- Health of an IncrementalTrain by its own conditions (kstatus: Ready, Reconciling, Stalled) and observedGeneration.
-- Only Lua's base is used: Argo CD opens no string library for scripts from argocd-cm.
local function condition(kind)
  if obj.status ~= nil and obj.status.conditions ~= nil then
    for _, found in ipairs(obj.status.conditions) do
      if found.type == kind then
        return found
      end
    end
  end
  return nil
end

local function holds(kind)
  local found = condition(kind)
  return found ~= nil and found.status == "True"
end

local function health(status, message)
  return { status = status, message = message }
end

-- The operator's sentence about the line, and how far the running round is.
local function words(kind)
  local found = condition(kind)
  local message = ""
  for _, text in ipairs({ found ~= nil and found.message or "", obj.status.message or "", obj.status.state or "" }) do
    if message == "" then
      message = text
    end
  end
  local progress = obj.status.progress
  if kind == "Reconciling" and progress ~= nil and progress.percent ~= nil then
    message = message .. " (" .. progress.percent .. "%"
    if progress.eta ~= nil and progress.eta ~= "" then
      message = message .. ", " .. progress.eta .. " left"
    end
    message = message .. ")"
  end
  return message
end

if obj.metadata.deletionTimestamp ~= nil then
  return health("Progressing", "The line is being deleted; its store stays")
end
if obj.status == nil or obj.status.conditions == nil then
  return health("Progressing", "The operator has not looked at the line yet")
end
if obj.status.observedGeneration ~= obj.metadata.generation then
  return health("Progressing", "The operator has not looked at this version of the spec yet")
end
if holds("Stalled") then
  return health("Degraded", words("Stalled"))
end
if holds("Suspended") then
  return health("Suspended", words("Suspended"))
end
if holds("Reconciling") then
  return health("Progressing", words("Reconciling"))
end
if holds("Ready") then
  return health("Healthy", words("Ready"))
end
return health("Progressing", words("Ready"))
