use super::*;

fn of(text: &str) -> Curl {
    parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn fields(curl: &Curl) -> Vec<&str> {
    curl.options.header.iter().map(String::as_str).collect()
}

#[test]
fn a_command_as_a_browser_copies_it() {
    let curl = of(r"curl 'https://h/api/orders?page=2' \
  -X 'PUT' \
  -H 'accept: application/json' \
  -H 'accept-language: de,en;q=0.9' \
  -b 'session=abc; theme=dark' \
  -H 'user-agent: Mozilla/5.0' \
  --data-raw $'{\'a\':\u0021}' \
  --compressed");
    assert_eq!(curl.url, "https://h/api/orders?page=2");
    let LoadOptions { method, body, user_agent, disable_compression, disable_redirects, .. } = &curl.options;
    assert_eq!((method.as_deref(), body.as_deref()), (Some("PUT"), Some("{'a':!}")));
    assert_eq!(
        (user_agent.as_deref(), *disable_compression, *disable_redirects),
        (Some("Mozilla/5.0"), false, true)
    );
    assert_eq!(curl.options.content_type.as_deref(), Some("application/x-www-form-urlencoded"));
    assert_eq!(
        fields(&curl),
        ["accept: application/json", "accept-language: de,en;q=0.9", "Cookie: session=abc; theme=dark",]
    );
}

#[test]
fn data_make_a_post_a_query_or_json() {
    let body = |text: &str| {
        let curl = of(text);
        (curl.options.method.unwrap(), curl.url, curl.options.body)
    };
    let answer = |method: &str, url: &str, body: Option<&str>| {
        (method.to_owned(), url.to_owned(), body.map(str::to_owned))
    };
    assert_eq!(body("curl h -d a=1 --data b=2"), answer("POST", "http://h", Some("a=1&b=2")));
    assert_eq!(body("curl -XPATCH -da=1 http://h"), answer("PATCH", "http://h", Some("a=1")));
    assert_eq!(body("curl -G http://h/?x#f -d a=1"), answer("GET", "http://h/?x&a=1#f", None));
    assert_eq!(body("curl -sSIL http://h"), answer("HEAD", "http://h", None));
    assert_eq!(body("curl --url h --data-raw @x"), answer("POST", "http://h", Some("@x")));
    let encoded = "curl h --data-urlencode 'a=b c&d' --data-urlencode '=e=f' --data-urlencode 'g h'";
    assert_eq!(body(encoded), answer("POST", "http://h", Some("a=b%20c%26d&e%3Df&g%20h")));
    let json = of("curl h --json '{\"a\":' --json '1}'");
    assert_eq!(json.options.body.as_deref(), Some("{\"a\":1}"));
    assert_eq!(fields(&json), ["Accept: application/json"]);
    assert_eq!(json.options.content_type.as_deref(), Some("application/json"));
    let typed = of("curl h -d x -H 'Content-Type: text/csv' -H 'Host: other'");
    assert_eq!((fields(&typed), typed.options.host.as_deref()), (vec!["Accept: */*"], Some("other")));
    assert_eq!(typed.options.content_type.as_deref(), Some("text/csv"));
}

#[test]
fn data_come_from_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("d");
    fs::write(&path, "a=1\r\nb c\n").unwrap();
    let body = |option: &str| of(&format!("curl h {option}{}", path.display())).options.body.unwrap();
    assert_eq!(body("-d @"), "a=1b c");
    assert_eq!(body("--data-binary @"), "a=1\r\nb c\n");
    assert_eq!(body("--data-urlencode x@"), "x=a%3D1%0D%0Ab%20c%0A");
    assert!(matches!(parse("curl h -d @/nowhere"), Err(CurlError::File(..))));
}

#[test]
fn the_rest_of_what_it_may_say() {
    let curl = of(
        "/usr/bin/curl -u me:secret -e http://r/ -A agent -m 1.5 -L -o /dev/null -sw '%{time}' -- http://h",
    );
    assert_eq!(curl.options.auth.as_deref(), Some("me:secret"));
    assert_eq!(curl.options.timeout, Some(Timeout(Some(std::time::Duration::from_millis(1500)))));
    assert_eq!((curl.options.user_agent.as_deref(), curl.options.disable_redirects), (Some("agent"), false));
    assert_eq!(fields(&curl), ["Accept: */*", "Referer: http://r/"]);
    assert!(curl.options.disable_compression);
    assert_eq!(of("curl h -m 0").options.timeout, Some(Timeout(None)));
    assert_eq!(fields(&of("curl h -H 'X-Empty;' -H 'X-A: 1' -H 'X-A:'")), ["Accept: */*", "X-Empty:"]);
}

#[test]
fn the_way_to_the_server_is_that_of_the_command() {
    let curl = of("curl https://h -k -x p:3128 --http2 --cert c.pem --key k.pem --connect-timeout 1.5");
    let LoadOptions { insecure, http2, proxy, cert, key, connect_timeout, .. } = curl.options;
    assert!(insecure && http2 && cert.is_some() && key.is_some());
    assert_eq!(proxy.unwrap().to_string(), "http://p:3128");
    assert_eq!(connect_timeout, Some(Span(Duration::from_millis(1500))));
    let curl = of("curl h --resolve h:80:127.0.0.1 --connect-to ::b:81 --cacert a.pem --http1.1");
    let LoadOptions { resolve, connect_to, cacert, http1, .. } = curl.options;
    assert_eq!((resolve.len(), connect_to.len(), http1), (1, 1, true));
    assert!(cacert.is_some());
    assert!(of("curl h --http2-prior-knowledge").options.h2c);
    assert_eq!(of("curl h --unix-socket s").options.unix_socket, Some("s".into()));
}

#[test]
fn what_is_not_understood_is_refused_by_name() {
    for (text, sign) in [
        ("", "begins with `curl`, not with ``"),
        ("wget http://h", "not with `wget`"),
        ("curl", "no URL"),
        ("curl http://a http://b", "`http://a` and `http://b`"),
        ("curl http://a | jq .", "two URLs, `http://a` and `|`"),
        ("curl 'http://a", "quotation"),
        ("curl h -F a=b", "-F of the curl command changes"),
        ("curl h --form a=b", "--form"),
        ("curl h -sT file", "-T"),
        ("curl h --cert", "--cert of the curl command lacks"),
        ("curl h --resolve x", "--resolve of the curl command: `x` is not"),
        ("curl h -x socks5://p", "--proxy of the curl command: `socks5:`"),
        ("curl h --connect-timeout soon", "number of seconds"),
        ("curl h -X", "-X of the curl command lacks"),
        ("curl h --header", "--header of the curl command lacks"),
        ("curl h -H nonsense", "--header of the curl command wants"),
        ("curl h -H @file", "reads no file"),
        ("curl h -b jar.txt", "reads no file"),
        ("curl h -u me", "user:password"),
        ("curl h -m soon", "number of seconds"),
    ] {
        let error = parse(text).unwrap_err().to_string();
        assert!(error.contains(sign), "{text}: {error}");
    }
}

#[test]
fn what_was_typed_beside_it_wins() {
    let typed = LoadOptions {
        method: Some("PATCH".to_owned()),
        header: vec!["X-A: typed".to_owned()],
        auth: Some("u:p".to_owned()),
        ..LoadOptions::default()
    };
    let (options, url) = under("curl h -H 'X-A: 1' -H 'Authorization: Bearer t' -d body", typed).unwrap();
    assert_eq!((options.method.as_deref(), url.as_str()), (Some("PATCH"), "http://h"));
    assert_eq!(options.header, ["Accept: */*", "X-A: 1", "X-A: typed"]);
    assert_eq!(options.body.as_deref(), Some("body"));
}
