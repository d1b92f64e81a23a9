-- Written by the role protocol_omni.bunker.gateway; the next run overwrites it.
-- How many tokens an answer says were read and written, told from the answer as it passes; an estimate where it does not say.
local meter = {}
local OVERLAP = 512 -- bytes: a figure may lie across two pieces
local BYTES = 4 -- of a token, about

-- OpenAI's, Anthropic's, and llama-server's own. As keys they stand in no text of a model: there the quotes are escaped.
local NAMES = {prompt_tokens = true, completion_tokens = true, total_tokens = true, input_tokens = true, output_tokens = true, cache_read_input_tokens = true,
               cache_creation_input_tokens = true, tokens_evaluated = true, tokens_predicted = true, prompt_n = true, cache_n = true, predicted_n = true}
local FREE = {["/tokenize"] = true, ["/v1/chat/completions/input_tokens"] = true, ["/v1/responses/input_tokens"] = true,
              ["/v1/messages/count_tokens"] = true}
local READ_ONLY = {["/v1/embeddings"] = true, ["/v1/rerank"] = true}

-- access phase: what is to be found out of a request to this path (of the service); nothing for what costs no tokens.
function meter.begin(path, api, request, body)
    if FREE[path] then return end
    local several = tonumber(request.n) or tonumber(request.n_cmpl) or 1
    return {api = api, reads_only = READ_ONLY[path], asked = #body, several = several > 1, events = 0, bytes = 0, told = {}}
end

-- body phase. It runs for every token, so it looks at little. Of a figure that is told again the last one counts, which no model has written.
function meter.see(known, piece, streamed)
    known.bytes = known.bytes + #piece
    if streamed then
        local at = piece:find("data: {", 1, true)
        while at do
            known.events, at = known.events + 1, piece:find("data: {", at + 1, true)
        end
    end
    local seen = known.rest and known.rest .. piece or piece
    known.rest = piece:byte(-1) ~= 10 and seen:sub(-OVERLAP) or nil
    if not (seen:find("tokens", 1, true) or seen:find("_n\"", 1, true)) then return end
    for name, value in seen:gmatch('"([%l_]+)" ?: ?(%d+)') do
        if NAMES[name] then known.told[name] = tonumber(value) end
    end
end

local function read(known)
    local told = known.told
    if known.api == "openai" then
        return told.prompt_tokens or told.tokens_evaluated or told.prompt_n and told.prompt_n + (told.cache_n or 0) or known.reads_only and told.total_tokens
    end
    return told.input_tokens and told.input_tokens + (told.cache_read_input_tokens or 0) + (told.cache_creation_input_tokens or 0)
end

local function written(known)
    local told = known.told
    if known.reads_only then return 0 end
    if known.api == "openai" then return told.completion_tokens or told.tokens_predicted or told.predicted_n end
    return told.output_tokens
end

-- log phase: the figures of an answer. streamed: as far as it came, an event is a token. whole: whether it came to its end.
-- prompt: the tokens of the prompt, where they were counted before.
function meter.figures(known, streamed, whole, prompt)
    local found = {read = read(known), written = written(known)}
    found.estimated = not whole or known.several and streamed or not found.read or not found.written
    found.read = found.read or prompt or math.ceil(known.asked / BYTES)
    if found.estimated and not known.reads_only then
        local came = streamed and known.events or found.written and 0 or math.ceil(known.bytes / BYTES)
        found.written = math.max(found.written or 0, came)
    end
    return found
end

return meter
