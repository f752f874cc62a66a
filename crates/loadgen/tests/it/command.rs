//! Scenarios that start another server than the embedded one. The other server is the embedded one by its command line, or a
//! shell.

use report::document::{Ended as How, Run};
use rustix::process::Signal;

use crate::helper::{Ended, Place, until};

/// How `loadgen serve` listens for itself at a port that several share.
const AT_PORT: &str = r#""--listen={address}", "--reuse-port""#;

/// A scenario that starts `loadgen serve` with these words, with two connections at least for every instance.
fn serving(words: &str, keys: &str) -> Place {
    let place = Place::new();
    let program = env!("CARGO_BIN_EXE_loadgen");
    place.file(
        "test.toml",
        &format!(
            "[target]\ncommand = [{program:?}, \"serve\", {words}, \"--database={{scratch}}/rows.db\"]\n\
             database = \"{{scratch}}/rows.db\"\n{keys}\n[load]\nrequests = 400\nconnections = 16\n"
        ),
    );
    place
}

/// All is well, and so many instances have had a part in it.
fn assert_served(place: &Place, ended: &Ended, instances: usize) -> Run {
    assert_eq!(ended.code, 0, "{ended:?}");
    let run = place.document();
    assert_eq!((run.ended, run.account.sent, run.account.ok), (How::Completed, 400, 400), "{ended:?}");
    let verification = run.verification.as_ref().unwrap_or_else(|| panic!("{:?}", run.notes));
    assert!(verification.holds(), "{verification:?}");
    assert_eq!(
        (verification.rows, verification.acknowledged),
        (400, 400),
        "what the probes wrote is not counted"
    );
    assert_eq!(run.instances.len(), instances);
    for instance in &run.instances {
        assert_eq!(instance.ended, "stopped");
        assert!(instance.cpu_ns.unwrap() > 0);
        assert!(instance.accepted.unwrap() > 0, "{:?}", run.instances);
    }
    place.assert_clean();
    run
}

#[test]
fn instances_listen_at_a_port_themselves() {
    for instances in [1, 2] {
        let place = serving(AT_PORT, &format!("instances = {instances}"));
        let run = assert_served(&place, &place.replay().wait(), instances);
        assert_eq!(run.config["target.sockets"], "port");
        assert!(
            run.instances.iter().map(|instance| instance.answered.unwrap()).sum::<u64>() > 400,
            "and probes"
        );
    }
}

#[test]
fn instances_are_passed_their_sockets() {
    for instances in [1, 2] {
        let keys = format!("sockets = \"passed\"\nready = \"notify\"\ninstances = {instances}");
        let place = serving("\"--threads=2\"", &keys);
        let run = assert_served(&place, &place.replay().wait(), instances);
        assert_eq!(
            run.instances.iter().map(|instance| instance.answered.unwrap()).sum::<u64>(),
            400,
            "no probes"
        );
    }
}

#[test]
fn instances_listen_at_unix_sockets() {
    for instances in [1, 2] {
        let keys = format!("sockets = \"unix\"\nready = \"/ready\"\ninstances = {instances}");
        let place = serving(r#""--listen=unix:{socket}""#, &keys);
        let run = assert_served(&place, &place.replay().wait(), instances);
        assert_eq!(run.same_machine, Some(true));
        let answered: Vec<_> = run.instances.iter().map(|instance| instance.answered.unwrap()).collect();
        assert_eq!(answered.iter().sum::<u64>(), 400 + instances as u64, "one probe for each");
        assert!(
            run.instances.iter().all(|one| one.accepted == Some(1 + 16 / instances as u64)),
            "{:?}",
            run.instances
        );
    }
}

#[test]
fn placeholders_are_filled_for_each_instance() {
    let place = Place::new();
    let program = env!("CARGO_BIN_EXE_loadgen");
    let script = r#"echo "$0|$1|$WHERE|$SUPERVISE_INSTANCE|$LISTEN_FDS|$NOTIFY_SOCKET" > told-{instance}; exec "$2" serve --store=none --listen="$1" --reuse-port"#;
    place.file(
        "test.toml",
        &format!(
            "[target]\ninstances = 2\ncommand = [\"sh\", \"-c\", '{script}', \"{{scratch}}/x{{instance}}\", \"{{address}}\", {program:?}]\n\
             env = {{ WHERE = \"at {{port}}{{port}} {{braces}}\" }}\n[load]\nrequests = 20\nconnections = 2\n"
        ),
    );
    let ended = place.replay().wait();
    assert_eq!(ended.code, 0, "{ended:?}");
    for number in ["1", "2"] {
        let told = std::fs::read_to_string(place.folder.path().join(format!("told-{number}"))).unwrap();
        let words: Vec<_> = told.trim_end().split('|').collect();
        let [scratch, address, place, rest @ ..] = &words[..] else { panic!("{told}") };
        assert!(scratch.starts_with('/') && scratch.ends_with(&format!("/x{number}")), "{told}");
        let port = address.strip_prefix("127.0.0.1:").unwrap();
        assert_eq!(*place, format!("at {port}{port} {{braces}}"));
        assert_eq!(*rest, ["", "", ""], "what is for instances of ours only");
    }
    place.assert_clean();
}

#[test]
fn a_plan_tells_the_command_and_no_secrets_and_its_key_is_the_same_everywhere() {
    let place = Place::new();
    let text = "[target]\ncommand = [\"my server\", \"--at\", \"{address}\"]\nready_timeout = \"5s\"\n\
                env = { DB_PASSWORD = \"x1\", API_KEY = \"x2\", DB = \"pg://u:x3@h/\", MODE = \"fast\" }\n";
    place.file("s.toml", text);
    let plan = place.run(&["plan", "s.toml"]).stdout;
    for line in [
        "target.kind = command",
        "target.command = 'my server' --at {address}",
        "target.env.DB_PASSWORD = ***",
        "target.env.API_KEY = ***",
        "target.env.MODE = fast",
        "target.instances = 1",
        "target.sockets = port",
        "target.ready = /",
        "target.ready_timeout = 5s",
        "target.stop_timeout = 30s",
    ] {
        assert!(plan.lines().any(|said| said == line), "{line}: {plan}");
    }
    assert!(!plan.contains("x1") && !plan.contains("x2") && !plan.contains("x3"), "{plan}");
    let key = |text: &str| {
        let plan = Place::with("s.toml", text).run(&["plan", "s.toml"]).stdout;
        plan.lines().next().map(str::to_owned)
    };
    let first = plan.lines().next().map(str::to_owned);
    assert_eq!(key(text), first);
    assert_eq!(key(&format!("{}database = \"x.db\"\n", text.replace("5s", "6s"))), first);
    assert_ne!(key(&text.replace("--at", "--to")), first);
    assert_ne!(key(&text.replace("fast", "slow")), first);
}

#[test]
fn a_target_that_does_not_come_up_is_a_sentence() {
    for (command, keys, complaint) in [
        (
            r#""sh", "-c", "echo no luck at {port} | tr 0-9 x >&2; exit 7""#,
            "",
            "the target could not be started: instance 1 ended with exit code 7 before it was ready; it said:\nno luck at x",
        ),
        (
            r#""sh", "-c", "echo thinking >&2; exec sleep 60", "{port}""#,
            "ready_timeout = \"300ms\"",
            "the target was not ready within 300ms: GET / was not answered with a status below 500 (no connection: ",
        ),
        (
            r#""sleep", "60", "#,
            "sockets = \"passed\"\nready = \"notify\"\nready_timeout = \"300ms\"",
            "the target could not be started: instance 1 was not ready within 300ms; it printed nothing to stderr",
        ),
        (
            r#""no-such-server", "{port}""#,
            "",
            "the target could not be started: there is no program `no-such-server` in PATH; install it, or write its path into the scenario\n",
        ),
        (
            r#""./bin/no-such-server", "{port}""#,
            "",
            "the target could not be started: there is no program ./bin/no-such-server; its path begins at the current folder",
        ),
        (
            r#""sleep", "60", "{port}""#,
            "version = [\"sh\", \"-c\", \"echo which one? >&2; exit 4\"]",
            "the command that tells the target's version ended with exit code 4; it said:\nwhich one?\n",
        ),
    ] {
        let place = Place::with("test.toml", &format!("[target]\ncommand = [{command}]\n{keys}\n"));
        place.assert_not_loaded(&place.replay().wait(), complaint);
    }
}

#[test]
fn a_server_that_answers_with_errors_is_not_ready() {
    let truth = env!("CARGO_BIN_EXE_loadgen");
    let keys = "ready = \"/status/503\"\nready_timeout = \"500ms\"";
    let text =
        format!("[target]\ncommand = [{truth:?}, \"truth-server\", \"--listen={{address}}\"]\n{keys}\n");
    let ended = Place::with("test.toml", &text).replay().wait();
    assert_eq!(ended.code, 3, "{ended:?}");
    assert!(
        ended.stderr.contains("GET /status/503 was not answered with a status below 500 (status 503)"),
        "{ended:?}"
    );
}

#[test]
fn without_setpriv_nothing_is_started() {
    let place = Place::with("test.toml", "[target]\ncommand = [\"/bin/sleep\", \"60\", \"{port}\"]\n");
    let output = place.command(&["run", "test.toml"]).env("PATH", "/nowhere").output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(
        said.contains("`setpriv` is not in PATH") && said.contains("install the package util-linux"),
        "{said}"
    );
}

#[test]
fn a_generator_killed_outright_leaves_no_command() {
    let place = serving(AT_PORT, "instances = 3");
    let mut running = place.start(&["run", "test.toml", "--results", "results", "-z", "60s"]);
    running.until("the load", |_| (place.database_bytes() > 400_000).then_some(()));
    assert_eq!(place.targets().len(), 3);
    running.signal(Signal::KILL);
    assert_eq!(running.wait().code, 137);
    until("the targets' end", || place.targets().is_empty().then_some(()));
}

#[test]
fn the_last_words_of_a_command_that_dies_are_told() {
    let place = Place::new();
    let program = env!("CARGO_BIN_EXE_loadgen");
    let script = r#""$0" serve --store=none --listen="$1" & while ! test -e die; do sleep 0.01; done; echo no luck >&2; exit 9"#;
    place.file(
        "test.toml",
        &format!("[target]\ncommand = [\"sh\", \"-c\", '{script}', {program:?}, \"{{address}}\", \"{{scratch}}\"]\n"),
    );
    let mut running =
        place.start(&["run", "test.toml", "--results", "results", "-z", "60s", "--raw", "rows.csv"]);
    let rows = place.folder.path().join("rows.csv");
    running.until("the load", |_| rows.metadata().is_ok_and(|data| data.len() > 1000).then_some(()));
    place.file("die", "");
    let ended = running.wait();
    assert_eq!(ended.code, 3, "{ended:?}");
    let told = "instance 1 died during the run: exit code 9; it said: no luck";
    assert!(ended.stderr.contains(told), "{ended:?}");
    let run = place.document();
    assert_eq!((run.ended, run.notes.contains(&told.to_owned())), (How::TargetLost, true), "{:?}", run.notes);
    place.assert_clean();
}

#[test]
fn rows_of_earlier_days_are_not_counted() {
    let program = env!("CARGO_BIN_EXE_loadgen");
    let text = format!(
        "[target]\ncommand = [{program:?}, \"serve\", {AT_PORT}, \"--database=kept.db\"]\ndatabase = \"kept.db\"\n\
         [load]\nrequests = 400\nconnections = 4\n[run]\nrepeats = 2\n"
    );
    let place = Place::with("test.toml", &text);
    let ended = place.replay().wait();
    assert_eq!(ended.code, 0, "{ended:?}");
    let rows: Vec<_> = place.documents().iter().map(|run| run.verification.as_ref().unwrap().rows).collect();
    assert_eq!(rows, [400, 400]);
    assert!(place.names().contains(&"kept.db".to_owned()), "a file of its own is left where it is");
}

#[test]
fn a_signal_while_a_command_comes_up_ends_it() {
    let place =
        Place::with("test.toml", "[target]\ncommand = [\"sh\", \"-c\", \"sleep 60; : {port} {scratch}\"]\n");
    let mut running = place.replay();
    running.until("the start", |_| (!place.targets().is_empty()).then_some(()));
    running.signal(Signal::TERM);
    let ended = running.wait();
    assert_eq!(ended.code, 143, "{ended:?}");
    assert!(ended.stderr.contains("interrupted before the load began"), "{ended:?}");
    place.assert_clean();
}

#[test]
fn the_version_is_kept() {
    let place = serving(AT_PORT, "version = [\"sh\", \"-c\", \"echo; echo ' one 1.2 '; echo two\"]");
    let run = assert_served(&place, &place.replay().wait(), 1);
    assert_eq!(run.versions["target"], "one 1.2");
}

#[test]
fn what_cannot_be_meant_is_refused() {
    for (keys, complaint) in [
        (
            "command = []",
            "`command` is empty: write a program and its arguments, like [\"my-server\", \"--port\", \"{port}\"]",
        ),
        (
            "command = [\"s\", \"{port}\"]\nthreads = 3",
            "`threads` is a setting of `loadgen serve`, and `command` starts another server",
        ),
        ("database = \"x.db\"", "`database` is about a server that `command` starts: give a `command` too"),
        (
            "command = [\"s\"]",
            "nothing tells the command where to listen: write `{port}` or `{address}` into `command` or `env`",
        ),
        (
            "command = [\"s\"]\nsockets = \"unix\"",
            "nothing tells the command where to listen: write `{socket}` into",
        ),
        (
            "command = [\"s\", \"{socket}\"]",
            "`{socket}` in `command` would stand for nothing with `sockets = \"port\"`",
        ),
        ("command = [\"s\", \"{prot}\"]", "`{prot}` is no placeholder: did you mean `{port}`?"),
        ("command = [\"s\", \"{Port}\"]", "`{Port}` is no placeholder: did you mean `{port}`?"),
        (
            "command = [\"s\", \"{port}\"]\nenv = { \"A=B\" = \"\" }",
            "`A=B` is no name for a variable of the environment",
        ),
        (
            "command = [\"s\", \"{port}\"]\ndatabase = \"x{instance}\"",
            "`{instance}` in `database` would stand for nothing",
        ),
        ("command = [\"s\", \"{port}\"]\nurl = \"http://h/\"", "`url` and `command` exclude each other"),
        (
            "command = [\"s\", \"{port}\"]\nready = \"yes\"",
            "`yes` does not say when a server is ready: write \"notify\", or a path",
        ),
        (
            "command = [\"s\", \"{port}\"]\nsockets = \"pipe\"",
            "`sockets` of [target] takes \"port\", \"passed\" or \"unix\", and not \"pipe\"",
        ),
        (
            "command = [\"s\", \"{socket}\"]\nsockets = \"unix\"\n[load]\nproxy = \"http://h:1\"",
            "exclude each other",
        ),
    ] {
        let place = Place::with("s.toml", &format!("[target]\n{keys}\n"));
        let ended = place.run(&["run", "s.toml"]);
        assert_eq!(ended.code, 2, "{keys}: {ended:?}");
        assert!(ended.stderr.contains(complaint), "{complaint}: {}", ended.stderr);
    }
}
