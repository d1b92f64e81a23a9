-- Written by the role protocol_omni.bunker.gateway; the next run overwrites it.
-- What services are for, by the kinds that the role wrote; of one that nobody knows, the service itself says what it does not do.
local kinds = {}

local TEXT = {chat = true, vision = true, completion = true} -- whether a model of these can fill in, llama-server says
local DO = {["/v1/embeddings"] = {embeddings = true}, ["/v1/rerank"] = {reranking = true}}
local SAID = {embeddings = "makes vectors of texts", reranking = "ranks documents", chat = "chats", vision = "chats about texts and pictures",
              completion = "completes code"}

-- Whether a service of this kind does what a path (of the service) asks for. Every one knows its tokens.
function kinds.does(kind, path)
    return not kind or path == "/tokenize" or (DO[path] or TEXT)[kind] or false
end

-- Whether one may stand in for the other.
function kinds.alike(one, other)
    return not one or not other or one == other or (TEXT[one] or false) and (TEXT[other] or false)
end

-- Why a service is not asked. others: names of those that do it.
function kinds.refusal(name, kind, path, others)
    return ("%s %s (kind %s); it does not answer %s. %s"):format(name, SAID[kind], kind, path,
        #others > 0 and "Ask " .. table.concat(others, " or ") .. "." or "No service here does.")
end

return kinds
