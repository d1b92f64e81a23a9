-- Written by the role protocol_omni.bunker.gateway; the next run overwrites it.
local ffi = require "ffi"

ffi.cdef "unsigned char *SHA256(const unsigned char *data, size_t length, unsigned char *digest);"

local digests = {}

-- 32 bytes.
function digests.sha256(data)
    local digest = ffi.new("unsigned char[32]")
    ffi.C.SHA256(data, #data, digest)
    return ffi.string(digest, 32)
end

function digests.hexadecimal(data)
    return (digests.sha256(data):gsub(".", function(letter) return ("%02x"):format(letter:byte()) end))
end

return digests
