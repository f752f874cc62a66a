//! What is sent? Static requests, each prepared once: the one of a plain run, or those of a mix.

mod many;

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use url::{Host, Url};

pub use self::many::{Entry, Source};

/// Header fields that tell who asks. They are not stored, and not carried to another origin.
const SECRETS: [&str; 4] = ["authorization", "cookie", "proxy-authorization", "set-cookie"];
/// The same for fields that everybody calls as he likes: by what is in their names.
const SECRET_PARTS: [&str; 5] = ["token", "secret", "password", "api-key", "apikey"];

/// Whether a header field holds a secret, as far as its name tells.
pub fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRETS.contains(&name.as_str()) || SECRET_PARTS.iter().any(|part| name.contains(part))
}

/// A slot whose requests go to several origins keeps connections to so many of them, those used last.
pub const POOLED_ORIGINS: usize = 8;

/// Where a connection leads: requests share connections of the same origin, and of no other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Whether it speaks TLS.
    pub tls: bool,
    /// Name or address.
    pub host: Host<String>,
    /// Port.
    pub port: u16,
}

impl Origin {
    /// The origin of a URL of scheme `http` or `https`, which has a host.
    pub(crate) fn of(url: &Url) -> Self {
        let host = url.host().map_or_else(|| Host::Domain(String::new()), |host| host.to_owned());
        Self { tls: url.scheme() == "https", host, port: url.port_or_known_default().unwrap_or(80) }
    }
}

/// A request, resolved and ready for the wire.
#[derive(Debug, Clone)]
pub struct Request {
    /// Method, upper case.
    pub method: String,
    /// Where it goes; scheme `http` or `https`, with a host.
    pub url: Url,
    /// The origin of the URL.
    pub origin: Arc<Origin>,
    /// Header fields in the order in which they are sent, `Host` and `Content-Length` included.
    pub headers: Arc<[(String, String)]>,
    /// The body; empty for none.
    pub body: Bytes,
    /// Whether it asks for the connection to be closed after the answer.
    pub close: bool,
    /// Head and body as HTTP/1.1 puts them on the wire: one write.
    pub wire: Bytes,
    /// What is kept of its answer.
    pub keep: Keep,
    /// The head as HTTP/2 has it, or why it cannot: made by the engine that first needs it.
    pub(crate) http2_head: OnceLock<Result<http::request::Parts, String>>,
    /// The header fields of the plan. Shared by the requests of a mix that have the same.
    given: Arc<[(String, String)]>,
    /// How it is put for a proxy that passes it on.
    forwarded: Option<Forwarded>,
}

/// What is kept of an answer beside its status, for those who look at it afterwards. By default nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Keep {
    /// Whether its head is.
    pub head: bool,
    /// How many bytes of its body are, at most.
    pub body: usize,
}

/// A request that a proxy passes on names its whole URL (RFC 9112, section 3.2.2). What goes through TLS does not: the
/// proxy does not see it.
#[derive(Debug, Clone)]
struct Forwarded {
    authorization: Option<String>,
}

/// Why a redirect leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the redirect to `{0}` leads to no http or https URL")]
pub struct RedirectError(String);

impl Request {
    /// Prepares a request. `given` are the fields of the plan; `Host` and `Content-Length` are added where they lack.
    pub fn new(method: &str, url: Url, given: impl Into<Arc<[(String, String)]>>, body: Bytes) -> Self {
        let given = given.into();
        let has = |name: &str| given.iter().any(|(known, _)| known.eq_ignore_ascii_case(name));
        let mut headers = Vec::with_capacity(given.len() + 2);
        if !has("host") {
            headers.push(("Host".to_owned(), authority(&url)));
        }
        headers.extend(given.iter().cloned());
        let carries_body = !body.is_empty() || matches!(method, "POST" | "PUT" | "PATCH");
        if carries_body && !has("content-length") {
            headers.push(("Content-Length".to_owned(), body.len().to_string()));
        }
        let close =
            headers.iter().any(|(name, value)| name.eq_ignore_ascii_case("connection") && lists_close(value));
        let origin = Arc::new(Origin::of(&url));
        let mut request = Self {
            method: method.to_owned(),
            url,
            origin,
            headers: headers.into(),
            body,
            close,
            wire: Bytes::new(),
            keep: Keep::default(),
            http2_head: OnceLock::new(),
            given,
            forwarded: None,
        };
        request.wire = request.to_wire();
        request
    }

    /// The same, and of its answer this is kept.
    #[must_use]
    pub fn keeping(self, keep: Keep) -> Self {
        Self { keep, ..self }
    }

    /// The same, sharing what it has in common with another one of the same mix: many requests take little memory, and
    /// those of one origin find their connections at once.
    #[must_use]
    pub fn beside(mut self, other: &Self) -> Self {
        if self.origin == other.origin {
            self.origin = Arc::clone(&other.origin);
        }
        if self.headers == other.headers {
            self.headers = Arc::clone(&other.headers);
        }
        self
    }

    /// The same request as it is put for a proxy. `authorization`: who asks it.
    #[must_use]
    pub fn forwarded(mut self, authorization: Option<String>) -> Self {
        self.forwarded = Some(Forwarded { authorization });
        self.wire = self.to_wire();
        self
    }

    fn to_wire(&self) -> Bytes {
        let mut bytes = Vec::with_capacity(256 + self.body.len());
        let mut put = |text: &str| bytes.extend_from_slice(text.as_bytes());
        let forwarded = self.forwarded.as_ref().filter(|_| !self.origin.tls);
        let before =
            if forwarded.is_some() { format!("http://{}", authority(&self.url)) } else { String::new() };
        let query = self.url.query().map(|query| format!("?{query}")).unwrap_or_default();
        put(&format!("{} {before}{}{query} HTTP/1.1\r\n", self.method, self.url.path()));
        for (name, value) in self.headers.iter() {
            put(&format!("{name}: {value}\r\n"));
        }
        if let Some(authorization) = forwarded.and_then(|forwarded| forwarded.authorization.as_ref()) {
            put(&format!("Proxy-Authorization: {authorization}\r\n"));
        }
        put("\r\n");
        bytes.extend_from_slice(&self.body);
        bytes.into()
    }

    /// The request that a redirect asks for, as browsers and hey understand it: 301, 302 and 303 turn everything but
    /// `HEAD` into `GET` without a body, 307 and 308 repeat the request. Secrets go to no other origin (scheme, host and
    /// port, as in curl), and a `Host` field of the plan goes nowhere but along with a relative location.
    ///
    /// # Errors
    /// When the location is no URL of a scheme that can be requested.
    pub fn redirected(&self, status: u16, location: &str) -> Result<Self, RedirectError> {
        let invalid = || RedirectError(location.to_owned());
        let url = self.url.join(location).map_err(|_| invalid())?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
            return Err(invalid());
        }
        let same_origin = Origin::of(&url) == *self.origin;
        let is_relative = Url::parse(location).is_err();
        let becomes_get = matches!(status, 301..=303) && self.method != "HEAD";
        let stays = |name: &str| {
            let goes = is_secret(name) && !same_origin
                || name.eq_ignore_ascii_case("host") && !is_relative
                || name.eq_ignore_ascii_case("content-length") && becomes_get;
            !goes
        };
        let given: Vec<_> = self.given.iter().filter(|(name, _)| stays(name)).cloned().collect();
        let next = if becomes_get {
            Self::new("GET", url, given, Bytes::new())
        } else {
            Self::new(&self.method, url, given, self.body.clone())
        };
        let next = next.keeping(self.keep);
        Ok(match &self.forwarded {
            Some(Forwarded { authorization }) => next.forwarded(authorization.clone()),
            None => next,
        })
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
pub(crate) fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire_of(method: &str, url: &str, headers: &[(&str, &str)], body: &'static str) -> String {
        let headers: Vec<_> = headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        let request =
            Request::new(method, url.parse().unwrap(), headers, Bytes::from_static(body.as_bytes()));
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
    fn a_redirect_is_followed_as_browsers_do() {
        let headers = [("Authorization", "secret"), ("X-A", "1"), ("Host", "mine")];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let first =
            Request::new("POST", "http://h:81/a/b?c".parse().unwrap(), headers, Bytes::from_static(b"body"));
        let wire = |status, location| {
            let next = first.redirected(status, location).unwrap();
            String::from_utf8(next.wire.to_vec()).unwrap()
        };
        assert_eq!(
            wire(302, "d"),
            "GET /a/d HTTP/1.1\r\nAuthorization: secret\r\nX-A: 1\r\nHost: mine\r\n\r\n"
        );
        assert_eq!(
            wire(307, "/e"),
            "POST /e HTTP/1.1\r\nAuthorization: secret\r\nX-A: 1\r\nHost: mine\r\nContent-Length: 4\r\n\r\nbody"
        );
        assert_eq!(wire(303, "http://other/"), "GET / HTTP/1.1\r\nHost: other\r\nX-A: 1\r\n\r\n");
        let kept = |location| wire(301, location).contains("Authorization");
        assert!(kept("http://h:81/x") && kept("//H:81/"));
        for elsewhere in ["https://h:81/", "//h:82/", "http://h/", "//other:81/"] {
            assert!(!kept(elsewhere), "{elsewhere}");
        }
        assert_eq!(first.redirected(301, "//other:82/x").unwrap().origin.port, 82);
        assert_eq!(first.redirected(301, "/x").unwrap().origin, first.origin);
        for nowhere in ["ftp://h/", "mailto:a", "http://"] {
            assert!(first.redirected(301, nowhere).is_err(), "{nowhere}");
        }
    }

    #[test]
    fn a_request_may_ask_to_close() {
        let closes = |name: &str, value: &str| {
            let headers = [(name.to_owned(), value.to_owned())];
            Request::new("GET", "http://h".parse().unwrap(), headers, Bytes::new()).close
        };
        assert!(closes("connection", "Close") && closes("Connection", "TE, close"));
        assert!(!closes("Connection", "keep-alive") && !closes("X-Connection", "close"));
    }
}
