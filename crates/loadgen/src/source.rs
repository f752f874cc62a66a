//! What is sent? The one static request of a run, prepared once.

use bytes::Bytes;
use url::Url;

/// A request, resolved and ready for the wire.
#[derive(Debug, Clone)]
pub struct Request {
    /// Method, upper case.
    pub method: String,
    /// Where it goes; scheme `http` or `https`, with a host.
    pub url: Url,
    /// Header fields in the order in which they are sent, `Host` and `Content-Length` included.
    pub headers: Vec<(String, String)>,
    /// The body; empty for none.
    pub body: Bytes,
    /// Whether it asks for the connection to be closed after the answer.
    pub close: bool,
    /// Head and body as HTTP/1.1 puts them on the wire: one write.
    pub wire: Bytes,
}

impl Request {
    /// Prepares a request. `headers` are those of the plan; `Host` and `Content-Length` are added where they lack.
    pub fn new(method: &str, url: Url, headers: &[(String, String)], body: Bytes) -> Self {
        let has = |name: &str| headers.iter().any(|(given, _)| given.eq_ignore_ascii_case(name));
        let mut all = Vec::with_capacity(headers.len() + 2);
        if !has("host") {
            all.push(("Host".to_owned(), authority(&url)));
        }
        all.extend(headers.iter().cloned());
        let carries_body = !body.is_empty() || matches!(method, "POST" | "PUT" | "PATCH");
        if carries_body && !has("content-length") {
            all.push(("Content-Length".to_owned(), body.len().to_string()));
        }
        let wire = wire(method, &url, &all, &body);
        let close =
            all.iter().any(|(name, value)| name.eq_ignore_ascii_case("connection") && lists_close(value));
        Self { method: method.to_owned(), url, headers: all, body, close, wire }
    }

    /// Whether its answer has no body whatever the head says.
    pub fn is_head(&self) -> bool {
        self.method == "HEAD"
    }
}

fn lists_close(options: &str) -> bool {
    options.split(',').any(|option| option.trim().eq_ignore_ascii_case("close"))
}

/// Host and port as they stand in `Host`: the port only where it is not the scheme's own.
fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

fn wire(method: &str, url: &Url, headers: &[(String, String)], body: &[u8]) -> Bytes {
    let mut bytes = Vec::with_capacity(256 + body.len());
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    bytes.extend_from_slice(format!("{method} {}{query} HTTP/1.1\r\n", url.path()).as_bytes());
    for (name, value) in headers {
        bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(body);
    bytes.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire_of(method: &str, url: &str, headers: &[(&str, &str)], body: &'static str) -> String {
        let headers: Vec<_> = headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        let request =
            Request::new(method, url.parse().unwrap(), &headers, Bytes::from_static(body.as_bytes()));
        String::from_utf8(request.wire.to_vec()).unwrap()
    }

    #[test]
    fn a_request_on_the_wire() {
        assert_eq!(
            wire_of("GET", "http://h:8080/a%20b?x=1#top", &[("Accept", "*/*")], ""),
            "GET /a%20b?x=1 HTTP/1.1\r\nHost: h:8080\r\nAccept: */*\r\n\r\n"
        );
        assert_eq!(
            wire_of("POST", "http://h", &[], ""),
            "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"
        );
        assert_eq!(
            wire_of("PUT", "http://[::1]:80/", &[("host", "other")], "body"),
            "PUT / HTTP/1.1\r\nhost: other\r\nContent-Length: 4\r\n\r\nbody"
        );
    }
    #[test]
    fn a_request_may_ask_to_close() {
        let closes = |name: &str, value: &str| {
            let headers = [(name.to_owned(), value.to_owned())];
            Request::new("GET", "http://h".parse().unwrap(), &headers, Bytes::new()).close
        };
        assert!(closes("connection", "Close") && closes("Connection", "TE, close"));
        assert!(!closes("Connection", "keep-alive") && !closes("X-Connection", "close"));
    }
}
