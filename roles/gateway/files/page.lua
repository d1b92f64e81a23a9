-- Written by the role protocol_omni.bunker.gateway; the next run overwrites it.
-- The page to talk to, where the inventory wants it. It holds nothing of anybody: who asks on it gives a key, like every client.
local answers = require "answers"
local browsers = require "browsers"
local digests = require "digests"
local plan = require "plan"

local page = {}
local html, policy

-- The one script and the one style of the page may run, by their hashes (Content Security Policy, level 3); nothing from elsewhere.
local function allowed(text, element)
    local inner = assert(text:match("<" .. element .. ">(.-)</" .. element .. ">"), element .. " of the page")
    return "'sha256-" .. ngx.encode_base64(digests.sha256(inner)) .. "'"
end

-- once a (re)load
function page.load(path)
    html = plan.content(path)
    policy = table.concat({
        "default-src 'none'", "script-src " .. allowed(html, "script"), "style-src " .. allowed(html, "style"), "connect-src 'self'", "img-src data:",
        "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'", "require-trusted-types-for 'script'", "trusted-types 'none'",
    }, "; ")
end

function page.show()
    if browsers.preflight() then return end
    if ngx.req.get_method() ~= "GET" and ngx.req.get_method() ~= "HEAD" then
        ngx.header["Allow"] = "GET, HEAD"
        return answers.refuse(405)
    end
    answers.whatever_the_condition()
    for name, value in pairs {
        ["Content-Type"] = "text/html; charset=utf-8", ["Content-Security-Policy"] = policy, ["Cache-Control"] = "no-cache",
        ["Content-Length"] = #html, ["X-Content-Type-Options"] = "nosniff", ["X-Frame-Options"] = "DENY", ["Referrer-Policy"] = "no-referrer",
        ["Cross-Origin-Opener-Policy"] = "same-origin", ["Cross-Origin-Resource-Policy"] = "same-origin",
    } do ngx.header[name] = value end
    ngx.print(html)
end

return page
