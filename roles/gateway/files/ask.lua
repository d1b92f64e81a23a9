-- Written by the role protocol_omni.bunker.gateway; the next run overwrites it.
-- A question of the gateway's own to a service: its status and body, or nothing when it is silent for so many milliseconds.
return function(address, method, path, body, patience)
    local host, port = address:match("^(.*):(%d+)$")
    local socket = ngx.socket.tcp()
    socket:settimeouts(1000, patience, patience)
    if not socket:connect(host, tonumber(port)) then return end
    socket:send({method, " ", path, " HTTP/1.0\r\nHost: ", address, "\r\nContent-Type: application/json\r\nContent-Length: ", body and #body or 0,
                 "\r\n\r\n", body or ""})
    local head = socket:receiveuntil("\r\n\r\n")()
    local status = head and tonumber(head:match("^HTTP/1%.%d (%d+)"))
    local length = head and tonumber(head:lower():match("\ncontent%-length: *(%d+)"))
    local text = status and socket:receive(length or "*a")
    socket:close()
    if text then return status, text end
end
