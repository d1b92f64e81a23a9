-- Written by the role protocol_omni.bunker.gateway; the next run overwrites it.
-- What clients may ask for, and in the words of which API they are answered: "messages" is Anthropic's, "responses" and "openai" are OpenAI's.
local plan = require "plan"

local api = {}

-- A client's path to the service's; everything else of a server stays behind the door. Rerank has no API that all agree on, so it has all its spellings.
local PATHS = {
    ["/v1/chat/completions"] = "/v1/chat/completions", ["/v1/chat/completions/input_tokens"] = "/v1/chat/completions/input_tokens",
    ["/v1/completions"] = "/v1/completions", ["/v1/embeddings"] = "/v1/embeddings",
    ["/v1/responses"] = "/v1/responses", ["/v1/responses/input_tokens"] = "/v1/responses/input_tokens",
    ["/v1/messages"] = "/v1/messages", ["/v1/messages/count_tokens"] = "/v1/messages/count_tokens",
    ["/infill"] = "/infill", ["/v1/infill"] = "/infill",
    ["/v1/rerank"] = "/v1/rerank", ["/v1/reranking"] = "/v1/rerank", ["/rerank"] = "/v1/rerank", ["/reranking"] = "/v1/rerank",
}
local REFUSALS = "/bunker-refusal" -- where nginx sends what it refuses itself

-- The path that was asked, without its query; "" where there was none that could be read.
function api.asked()
    local path = ngx.var.uri or ""
    if path == REFUSALS then path = (ngx.var.request_uri or ""):match("^[^?]*") end
    return path
end

function api.at_the_service(path)
    return PATHS[path] or (path == "/tokenize" and plan.tokenize and path)
end

-- What a provider may be asked in the place of a service: what every such API has. Nothing is counted or filled in for a service elsewhere.
local GENERATES = {["/v1/chat/completions"] = true, ["/v1/completions"] = true, ["/v1/responses"] = true, ["/v1/messages"] = true}
function api.generates(path)
    return GENERATES[path] or false
end

function api.spoken()
    local path = api.asked()
    if path:find("^/v1/messages") then return "messages" end
    return path:find("^/v1/responses") and "responses" or "openai"
end

-- The field of a request that OpenAI's API blames for a prompt that is too long.
function api.prompt_of(path)
    if path:find("^/v1/responses") then return "input" end
    return path == "/v1/completions" and "prompt" or "messages"
end

return api
