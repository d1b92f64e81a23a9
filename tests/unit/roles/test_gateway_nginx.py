"""What nginx is told of clients and services, directive by directive: without one of these a door is open. What comes of it: tests/fuzz/gateway_http.py."""
import re

import pytest
import rendering

GIVEN = {"ansible_facts": {"processor_nproc": 8}, "_gateway_listen": "192.0.2.5", "_gateway_resolvers": ["192.0.2.53"], "gateway_port": 8443,
         "gateway_tls": "self_signed", "gateway_page": True, "gateway_requests_per_minute": 90, "gateway_burst": 30, "gateway_concurrent_requests": 25,
         "gateway_body_limit": "3m", "gateway_response_timeout": 1234, "gateway_metrics_port": 9180, "bunker_config_path": "/etc/protocol_omni",
         "_gateway_routes": {"oracle": {"address": "172.30.0.10:8000"}, "other": {"address": ""}}}
DIRECTIVE = re.compile(r'((?:"[^"]*"|[^;{}"])+?)\s*([;{])|\}')
# By block: directives, and each time that they stand there.
HTTP = {"server_tokens": ["off"], "client_header_timeout": ["30s"], "client_body_timeout": ["30s"], "send_timeout": ["120s"],
        "reset_timedout_connection": ["on"], "client_max_body_size": ["3m"],
        "limit_req_zone": ["$bunker_key zone=keys:1m rate=90r/m"], "limit_conn_zone": ["$bunker_key zone=streams:1m"],
        "limit_req_status": ["429"], "limit_conn_status": ["429"], "default_type": ["application/json"]}
SERVER = {"listen": ["192.0.2.5:8443 ssl so_keepalive=60s:10s:3 backlog=1024", "127.0.0.1:9180", "unix:/run/protocol-omni-gateway/control.sock"],
          "ssl_protocols": ["TLSv1.2 TLSv1.3"], "ssl_certificate": ["/etc/protocol_omni/gateway/self_signed.pem"],
          "ssl_certificate_key": ["/etc/protocol_omni/gateway/self_signed.key"], "header_filter_by_lua_block": [""], "log_by_lua_block": [""],
          "error_page": ["400 404 405 408 413 414 429 500 502 503 504 /bunker-refusal", "494 =431 /bunker-refusal",
                         "495 496 497 501 505 =400 /bunker-refusal"]}
MODELS = {"rewrite_by_lua_block": [""], "limit_req": ["zone=keys burst=30 nodelay"], "content_by_lua_block": [""]}
SERVICES = {
    "rewrite_by_lua_block": [""], "access_by_lua_block": [""], "header_filter_by_lua_block": [""], "body_filter_by_lua_block": [""],
    "limit_req": ["zone=keys burst=30 nodelay"], "limit_conn": ["streams 25"], "lua_check_client_abort": ["on"], "proxy_pass": ["$bunker_target"],
    "proxy_http_version": ["1.1"], "proxy_pass_request_headers": ["off"], "proxy_set_header": [
        "Content-Type $content_type", "Accept $http_accept", "Anthropic-Version $http_anthropic_version", "Anthropic-Beta $http_anthropic_beta",
        "User-Agent protocol-omni-bunker", "Host $bunker_host", "Connection close", "Authorization $bunker_authorization", 'Accept-Encoding ""'],
    "proxy_ssl_server_name": ["on"], "proxy_ssl_name": ["$bunker_host"], "proxy_ssl_verify": ["on"], "proxy_ssl_verify_depth": ["4"],
    "proxy_ssl_trusted_certificate": ["/etc/ssl/certs/ca-certificates.crt"], "resolver": ["192.0.2.53 valid=60s"], "proxy_buffering": ["off"],
    "proxy_cache": ["off"], "gzip": ["off"], "proxy_send_timeout": ["120s"], "proxy_read_timeout": ["1234s"],
    "proxy_hide_header": ["Access-Control-" + name for name in (
        "Allow-Origin", "Allow-Credentials", "Allow-Methods", "Allow-Headers", "Expose-Headers", "Max-Age", "Allow-Private-Network")] + ["Vary", "Server"],
    "set": ['$bunker_%s ""' % name for name in (
        "key", "path", "untold", "model", "alias", "chosen", "target", "host", "authorization", "reason", "counted", "waits", "queued")]}
EXPECTED = {"": {"worker_processes": ["4"], "error_log": ["stderr error"]}, "events": {"worker_connections": ["8192"]}, "http": HTTP, "http server": SERVER,
            "http server location = /bunker-refusal": {"internal": [""], "content_by_lua_block": [""]},
            "http server location = /health": {"access_log": ["off"], "content_by_lua_block": [""]},
            "http server location ^~ /v1/models": MODELS, 'http server location ~ "^/(v1/|infill$|rerank$|reranking$|tokenize$)"': SERVICES,
            "http upstream service_oracle": {"server": ["172.30.0.10:8000"], "balancer_by_lua_block": [""]}}


def blocks(text):
    """{where: {directive: [its words, once for each time]}}; where is the way of blocks, such as "http server location /". Lua is left out."""
    text = re.sub(r"(?m)(^|\s)#.*$", "", re.sub(r"(_by_lua_block) \{(?:[^{}]|\{[^{}]*\})*\}", r"\1;", text))
    found, way = {}, []
    for match in DIRECTIVE.finditer(re.sub(r"'[^'\n]*'", "TEXT", text)):
        words = (match[1] or "").split()
        if match[2] == "{":
            way.append(" ".join(words))
        elif not words:
            way.pop()
        else:
            found.setdefault(" ".join(way), {}).setdefault(words[0], []).append(" ".join(words[1:]))
    assert way == []
    return found


@pytest.fixture(scope="module", name="nginx")
def _nginx():
    return blocks(rendering.render_template("gateway", "nginx.conf.j2", GIVEN))


@pytest.mark.parametrize("where, directive", [(where, directive) for where, directives in EXPECTED.items() for directive in directives])
def test_nginx_is_told(nginx, where, directive):
    assert nginx[where].get(directive) == EXPECTED[where][directive]


def test_no_place_leads_to_a_service_but_one(nginx):
    assert [where for where, directives in nginx.items() if "proxy_pass" in directives] == [
        'http server location ~ "^/(v1/|infill$|rerank$|reranking$|tokenize$)"']
    assert not any(name in directives for directives in nginx.values() for name in ("root", "alias", "autoindex", "stub_status", "include"))


def test_what_has_no_address_has_no_upstream_and_what_is_not_asked_for_is_not_there(nginx):
    assert [where for where in nginx if where.startswith("http upstream")] == ["http upstream service_oracle"]
    plain = blocks(rendering.render_template("gateway", "nginx.conf.j2", {**GIVEN, "gateway_tls": "none", "gateway_page": False, "_gateway_resolvers": []}))
    assert plain["http server"]["listen"][0] == "192.0.2.5:8443 so_keepalive=60s:10s:3 backlog=1024" and "ssl_certificate" not in plain["http server"]
    assert "http server location = /chat" in nginx and "http server location = /chat" not in plain
