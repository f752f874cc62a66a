use super::*;

fn answer(status: u16, fields: &str, body: &str) -> Answer {
    let mut kept = Kept::new(Keep { head: true, body: BODY_LIMIT }).unwrap();
    kept.head = format!("HTTP/1.1 {status} X\r\n{fields}\r\n").into_bytes();
    kept.add(body.as_bytes());
    Answer { status, location: None, kept: Some(kept) }
}

/// Why the answer fails the check.
fn fault(check: &str, answer: &Answer) -> Option<String> {
    let watch = Watch { checks: vec![check.parse().unwrap()], count_header: None };
    watch.faults(answer).pop().map(|(_, why)| why)
}

#[test]
fn each_condition_holds_and_fails() {
    let answer = answer(200, "Content-Type: application/json\r\nX-A: 1\r\nX-A: 2\r\n", "{\"ok\": true}\n");
    for holds in [
        "status == 200",
        "status==200",
        "status = 200",
        "status != 404",
        "status < 300",
        "status <= 200",
        "status >= 200",
        "status > 199",
        "status in 2xx",
        "status 2xx",
        "status in 200..299,304",
        "status in 199, 200",
        "status not in 4xx,5xx",
        "header content-type == application/json",
        "header Content-Type contains json",
        "header content-type matches ^application/",
        "header content-type not contains html",
        "header x-a == \"1, 2\"",
        "header x-a exists",
        "header x-b missing",
        "header x-b not contains y",
        "header x-b != y",
        "body contains \"ok\"",
        "body contains \"\\\"ok\\\"\"",
        "body == \"{\\\"ok\\\": true}\\n\"",
        "body != nothing",
        "body matches \"\\\"ok\\\": (true|false)\"",
        "body matches ^\\{",
        "body not matches error",
        "body size == 13",
        "body size > 10",
        "body size in 1..100",
    ] {
        assert_eq!(fault(holds, &answer), None, "{holds}");
    }
    for (fails, why) in [
        ("status == 201", "the status is 200"),
        ("status in 3xx,201", "the status is 200"),
        ("status not in 2xx", "the status is 200"),
        ("header x-b exists", "the answer has no field x-b"),
        ("header x-b contains 1", "the answer has no field x-b"),
        ("header x-a missing", "the field x-a is `1, 2` and is there"),
        ("header x-a == 1", "the field x-a is `1, 2` and is another one"),
        ("body contains nothing", "the body does not contain it"),
        ("body contains .", "the body does not contain it"),
        ("body not contains ok", "the body contains it"),
        ("body matches ^x", "the body does not match"),
        ("body == x", "the body is another one"),
        ("body size > 13", "the body has 13 bytes"),
    ] {
        assert_eq!(fault(fails, &answer).as_deref(), Some(why), "{fails}");
    }
}

#[test]
fn a_secret_is_not_told() {
    let answer = answer(200, "Set-Cookie: sid=SECRET\r\n", "");
    let why = "the field set-cookie is `***` and does not contain it";
    assert_eq!(fault("header set-cookie contains zzz", &answer).as_deref(), Some(why));
    assert_eq!(fault("header set-cookie contains SECRET", &answer), None, "it is looked at all the same");
}

#[test]
fn what_cannot_be_seen_fails() {
    let large = answer(200, "", &"x".repeat(BODY_LIMIT + 1));
    let why = "the body has 1048577 bytes, and checks look at 1 MiB at most";
    assert_eq!(fault("body contains x", &large).as_deref(), Some(why));
    assert_eq!(fault("body size > 1048576", &large), None);
    let encoded = answer(200, "Content-Encoding: gzip\r\n", "x");
    let why = "the body came encoded (gzip), which was not asked for";
    assert_eq!(fault("body contains x", &encoded).as_deref(), Some(why));
    assert_eq!(fault("body size == 1", &encoded).as_deref(), Some(why));
    assert_eq!(fault("status == 200", &encoded), None);
}

#[test]
fn what_is_no_check_is_told_how_to_become_one() {
    for (text, sign) in [
        ("", "begins with `status`"),
        ("state == 200", "begins with `status`"),
        ("status", "no condition on the status"),
        ("status is 200", "`is 200` is no condition on the status"),
        ("status ==", "`==` has nothing behind it"),
        ("status == ok", "`ok` is no whole number"),
        ("status == 200 x", "`200 x` is no whole number"),
        ("status in", "`in` has nothing behind it"),
        ("status in 299..200", "`299..200` is no range"),
        ("status in 20x", "`20x` is no range"),
        ("status => 200", "no condition"),
        ("header", "name of a field"),
        ("header a:b == x", "name of a field"),
        ("header a", "no condition on a header"),
        ("header a exists now", "`now` stands behind"),
        ("body exists", "no condition on a body"),
        ("body contains", "`contains` has nothing behind it"),
        ("body contains \"x", "quotation mark"),
        ("body contains \"x\" y", "quotation mark"),
        ("body matches (", "unclosed group"),
        ("body size", "no condition on the size of a body"),
        ("body size > 1k", "`1k` is no whole number"),
    ] {
        let error = text.parse::<Check>().unwrap_err().to_string();
        assert!(error.contains(sign), "{text:?}: {error}");
        assert!(!error.contains('\n'), "{error}");
    }
}

#[test]
fn no_more_is_kept_than_is_looked_at() {
    let keep = |checks: &[&str], header: Option<&str>| {
        let checks = checks.iter().map(|check| check.parse().unwrap()).collect();
        Watch { checks, count_header: header.map(str::to_owned) }.keep()
    };
    assert_eq!(keep(&[], None), Keep::default());
    assert_eq!(keep(&[], Some("x")), Keep { head: true, body: 0 });
    assert_eq!(keep(&["status 2xx"], None), Keep { head: true, body: CheckExample::BODY });
    assert_eq!(keep(&["body size > 1"], None), Keep { head: true, body: CheckExample::BODY });
    assert_eq!(keep(&["status 2xx", "body contains x"], None), Keep { head: true, body: BODY_LIMIT });
}
