//! What a scenario file may say: the program, the schema that editors read, and the files of the repository agree.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::helper::Place;

/// Files that are no scenarios, and what is said of them behind `loadgen: s.toml:`. The schema refuses them too.
const BROKEN: [(&str, &str); 45] = [
    ("[target.front]\nconfig = \"\"", "1: [target.front] needs a `command`"),
    (
        "[target.front]\ncommand = [\"x\"]\nconfg = \"\"",
        "3: `confg` is no key of [target.front]; did you mean `config`?",
    ),
    (
        "[target]\ncpus = \"0;1\"",
        "2: `cpus` of [target]: `0;1` is no set of CPUs: write their numbers, from 0 on, like 0 or 0-1,3",
    ),
    (
        "[load]\nduration = \"10s\"\nconections = 5",
        "3: `conections` is no key of [load]; did you mean `connections`?",
    ),
    ("[targets]", "1: [targets] is no section of a scenario; did you mean [target]?"),
    ("\ndescripton = \"x\"", "2: `descripton` is no key of a scenario; did you mean `description`?"),
    ("connections = 5", "1: `connections` is no key of a scenario; it belongs to [load]"),
    ("[load]\ninstances = 5", "2: `instances` is no key of [load]; it belongs to [target]"),
    ("[load]\nurl = \"http://h/\"", "2: `url` is no key of [load]; it belongs to [target]"),
    ("[load]\nZebra = 5", "2: `Zebra` is no key of [load]; `loadgen scenarios schema` knows all keys"),
    ("[load.foo]", "1: `foo` is no key of [load]; `loadgen scenarios schema` knows all keys"),
    ("load = 5", "1: `load` takes a table of keys, and this is 5"),
    (
        "[load]\nconnections = \"5\"",
        "2: `connections` of [load] takes a whole number from 1 on, and this is a text",
    ),
    ("[load]\nconnections = 0", "2: `connections` of [load] takes a whole number from 1 on, and this is 0"),
    (
        "[load]\nconnections = 5_000_000_000",
        "2: `connections` of [load] takes a whole number from 1 on, and this is 5000000000",
    ),
    (
        "[load]\nworkers = 70000",
        "2: `workers` of [load] takes a whole number from 1 to 65535, and this is 70000",
    ),
    ("[load]\nrequests = 1.5", "2: `requests` of [load] takes a whole number from 1 on, and this is 1.5"),
    ("[load]\nduration = \"10\"", "2: `duration` of [load]: `10` has no unit: did you mean `10s`?"),
    ("[load]\nduration = 10", "2: `duration` of [load] takes a text in quotes, like \"10s\", and this is 10"),
    (
        "[load]\ntimeout = \"5 s\"",
        "2: `timeout` of [load]: `5 s` is not a duration: write one like 10s, 1m30s or 250ms",
    ),
    (
        "[load]\nrate = true",
        "2: `rate` of [load] takes a number from 0 on or a text in quotes, like \"50k\", and this is true",
    ),
    (
        "[load]\nrate = \"5m\"",
        "2: `rate` of [load]: `5m` is not a rate: write requests per second like 100, 0.5 or 50k",
    ),
    (
        "[load]\nrate = -1",
        "2: `rate` of [load] takes a number from 0 on or a text in quotes, like \"50k\", and this is -1",
    ),
    (
        "[load]\nstages = \"30s\"",
        "2: `stages` of [load]: `30s` is not a stage: write stages like 30s@100,60s@500",
    ),
    (
        "[load]\narrival = \"poison\"",
        "2: `arrival` of [load]: `poison` is not a way to arrive: write poisson, uniform or burst:10",
    ),
    (
        "[load]\nengine = \"htp1\"",
        "2: `engine` of [load] takes \"auto\", \"http1\", \"http2\" or \"reqwest\", and not \"htp1\"; did you mean \"http1\"?",
    ),
    (
        "[load]\nengine = \"fake\"",
        "2: `engine` of [load] takes \"auto\", \"http1\", \"http2\" or \"reqwest\", and not \"fake\"",
    ),
    ("[load]\nhttp2 = \"yes\"", "2: `http2` of [load] takes true or false, and this is a text"),
    (
        "[load]\ncheck = \"status == 200\"",
        "2: `check` of [load] takes a list, like [\"status == 200\"], and this is a text",
    ),
    (
        "[load]\ncheck = [\n\"status == 200\",\n\"stats is 200\"]",
        "4: `check` of [load]: a check begins with `status`, `header NAME`, `body` or `body size`, like \"status == 200\"",
    ),
    ("[assert]\nalwais = []", "2: `alwais` is no key of [assert]; did you mean `always`?"),
    (
        "[assert]\nalways = [\"rps\"]",
        "2: `always` of [assert]: `rps` is no assertion: write a figure, a comparison and a bound, like `p99 < 400ms`",
    ),
    (
        "[run]\norder = \"randm\"",
        "2: `order` of [run] takes \"interleaved\", \"sequential\" or \"random\", and not \"randm\"; did you mean \"random\"?",
    ),
    ("[run]\nrepeats = 0", "2: `repeats` of [run] takes a whole number from 1 on, and this is 0"),
    ("[target]\nthread = 3", "2: `thread` is no key of [target]; did you mean `threads`?"),
    (
        "[target]\nthreads = 257",
        "2: `threads` of [target] takes a whole number from 1 to 256, and this is 257",
    ),
    (
        "[target]\ninstances = 257",
        "2: `instances` of [target] takes a whole number from 1 to 256, and this is 257",
    ),
    (
        "[target]\nlisten = \"127.0.0.1:1\"",
        "2: `listen` is no key of [target]: loadgen chooses it itself, for each run",
    ),
    (
        "[target]\nstore = \"grup\"",
        "2: `store` of [target] takes \"pool\", \"group\" or \"none\", and not \"grup\"; did you mean \"group\"?",
    ),
    (
        "[target]\nidle_timeout = 5",
        "2: `idle_timeout` of [target] takes a text in quotes, like \"10s\" or 0, and this is 5",
    ),
    (
        "[target]\nsockets = \"unx\"",
        "2: `sockets` of [target] takes \"port\", \"passed\" or \"unix\", and not \"unx\"; did you mean \"unix\"?",
    ),
    (
        "[matrix]\n\"load.conections\" = [5]",
        "2: `load.conections` is no key of [matrix]; did you mean `load.connections`?",
    ),
    (
        "[matrix]\n\"load.connections\" = [5, 0]",
        "2: `load.connections` of [matrix] takes a whole number from 1 on, and this is 0",
    ),
    ("[matrix]\ninstances = [5]", "2: `instances` is no key of [matrix]; did you mean `target.instances`?"),
    (
        "[matrix]\ntarget.instances = [5]",
        "2: `target` is no key of [matrix]; write \"target.instances\" in quotes",
    ),
];

/// The same, of which the schema knows nothing: what is in a text or in two keys together.
const BROKEN_BEYOND_THE_SCHEMA: [(&str, &str); 13] = [
    ("[load", "1: this is no TOML: unclosed table, expected `]`"),
    ("[load]\nrate = 5\nrate = 6", "3: this is no TOML: duplicate key `rate`"),
    (
        "name = \"../up\"",
        "1: `../up` is no name for results: use letters, digits, dots, dashes and underscores",
    ),
    (
        "[load]\nrate = 5\nstages = \"5s@5\"",
        "3: --stages and --rate exclude each other: leave one of them out",
    ),
    (
        "[load]\ncheck = [\"status is 200\"]",
        "2: `check` of [load]: `is 200` is no condition on the status: write ==, !=, <, <=, >, >= with a number, or `in` with ranges like 200..299,304",
    ),
    (
        "[assert]\nalways = [\n\"errors == 0\",\n\"timeout == 12\"]",
        "4: `always` of [assert]: `timeout` is no figure of a run; did you mean `timeouts`?",
    ),
    (
        "[target]\nstore = \"none\"\nthreads = 4",
        "3: the target cannot be started like this: --threads has no meaning with --store none; leave one of them out",
    ),
    (
        "[target]\nthreads = 4\n[matrix]\n\"target.store\" = [\"pool\", \"none\"]",
        "2: the target cannot be started like this: --threads has no meaning with --store none; leave one of them out ([matrix] target.store = \"none\")",
    ),
    ("[target]\npath = \"orders\"", "2: `orders` is not a path: it begins with a slash, like /orders?id=7"),
    (
        "[target]\nurl = \"http://127.0.0.1:9/\"\ninstances = 2",
        "3: `instances` is a setting of a target that is started; with a `url` nothing is, so leave one of them out",
    ),
    (
        "[target]\ncommand = [\"x\",\n\"{prot}\"]",
        "3: the target cannot be started like this: `{prot}` is no placeholder: did you mean `{port}`?",
    ),
    (
        "[target]\ncommand = [\"x\", \"{socket}\"]",
        "2: the target cannot be started like this: `{socket}` in `command` would stand for nothing with `sockets = \"port\"`",
    ),
    (
        "[matrix]\n\"load.duration\" = [\"5s\", \"0.0.5s\"]",
        "2: [matrix] load.duration = \"0.0.5s\": `0.0.5s` is not a duration: write one like 10s, 1m30s or 250ms",
    ),
];

/// Files that use what a scenario can say.
const WHOLE: [&str; 7] = [
    "[target]\ncpus = \"0\"\n[target.front]\ncommand = [\"x\", \"{config}\"]\nconfig = \"{address} {socket}\"\n\
     [load]\ncpu_set = \"0\"\n[matrix]\n\"target.front.config\" = [\"{address} {socket}\"]\n\"target.front.env.X\" = [\"y\"]\n",
    "",
    "[load]\nrate = 5\nduration = \"1s\"\ntimeout = \"20\"\narrival = \"burst:3\"\nseed = 7\n",
    "[load]\nrate = \"0.5k\"\nrequests = 10\ncheck = [\"status in 2xx\"]\nheader = [\"a: b\"]\n",
    "[load]\nstages = \"1s@5, 1m@0.5\"\ndrain = \"0\"\nwarmup = \"1m30s\"\n[run]\nrepeats = 2\norder = \"random\"\n",
    "[target]\ninstances = 256\nidle_timeout = 0\nmax_body = 1024\nnodelay = true\nbusy = \"fixed:1ms\"\nfaults = \"delay=1ms:5\"\n\
     [matrix]\n\"target.threads\" = [1, 256]\n\"load.duration\" = [\"1s\"]\n",
    "[target]\ncommand = [\"x\", \"{port}\"]\nready = \"/x\"\nenv = { A = \"b\" }\nready_timeout = \"1s\"\n\
     [assert]\nalways = [\"share.max/share.min < 1.5\", \"status.200 == 100%\"]\n",
];

fn scenarios() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios")
}

fn schema(place: &Place) -> String {
    let printed = place.run(&["scenarios", "schema"]);
    assert_eq!((printed.code, printed.stderr.as_str()), (0, ""));
    printed.stdout
}

/// As an editor sees a file.
fn json(text: &str) -> Value {
    serde_json::to_value(toml::from_str::<toml::Table>(text).unwrap()).unwrap()
}

fn validator(place: &Place) -> jsonschema::Validator {
    let schema: Value = serde_json::from_str(&schema(place)).unwrap();
    jsonschema::draft7::meta::validate(&schema).unwrap();
    jsonschema::draft7::new(&schema).unwrap()
}

#[test]
fn what_is_no_scenario_is_refused_with_its_line_and_the_nearest_key() {
    let place = Place::new();
    for (text, said) in BROKEN.iter().chain(&BROKEN_BEYOND_THE_SCHEMA) {
        place.file("s.toml", text);
        let ended = place.run(&["run", "s.toml"]);
        let first = ended.stderr.lines().next().unwrap_or_default();
        assert_eq!((ended.code, first), (2, format!("loadgen: s.toml:{said}").as_str()), "{text}");
        // The line itself stands below.
        let number: usize = said.split(':').next().unwrap().parse().unwrap();
        let line = format!("{number:>5} | {}", text.lines().nth(number - 1).unwrap());
        assert_eq!(ended.stderr.lines().skip(1).collect::<Vec<_>>(), [line]);
        assert_eq!(ended.stdout, "");
    }
    assert_eq!(
        (place.names(), place.left_behind()),
        (vec!["s.toml".to_owned()], vec![]),
        "nothing was started"
    );
}

#[test]
fn what_was_typed_is_no_fault_of_the_file() {
    let place = Place::with("s.toml", "[target]\nthreads = 4\n");
    let ended = place.run(&["run", "s.toml", "--target", "threads=300"]);
    let said = "loadgen: s.toml: the target cannot be started like this: invalid value '300' for '--threads <N>': not a whole number from 1 to 256\n";
    assert_eq!((ended.code, ended.stderr.as_str()), (2, said));
}

#[test]
fn the_schema_refuses_what_the_program_refuses_and_nothing_else() {
    let place = Place::new();
    let validator = validator(&place);
    for (text, _) in BROKEN {
        assert!(!validator.is_valid(&json(text)), "the schema allows {text}");
    }
    let files = fs::read_dir(scenarios()).unwrap().map(|entry| entry.unwrap().path());
    let files = files.filter(|path| path.extension().is_some_and(|ending| ending == "toml"));
    let shipped: Vec<_> = files.map(|path| fs::read_to_string(path).unwrap()).collect();
    assert!(shipped.len() > 10);
    for text in WHOLE.iter().copied().chain(shipped.iter().map(String::as_str)) {
        let faults: Vec<_> = validator.iter_errors(&json(text)).map(|error| error.to_string()).collect();
        assert_eq!(faults, Vec::<String>::new(), "{text}");
        place.file("s.toml", text);
        let ended = place.run(&["plan", "s.toml"]);
        assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{text}");
    }
}

#[test]
fn the_schema_in_the_repository_is_that_of_the_program() {
    let path = scenarios().join("scenario.schema.json");
    let renew = "cargo run -- scenarios schema > scenarios/scenario.schema.json";
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == schema(&Place::new()),
        "{} is not what the program says; renew it: {renew}",
        path.display()
    );
    for entry in fs::read_dir(scenarios()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "toml") {
            let text = fs::read_to_string(&path).unwrap();
            assert!(
                text.starts_with("#:schema ./scenario.schema.json\n"),
                "{} does not name its schema",
                path.display()
            );
        }
    }
}

#[test]
fn the_schema_says_what_help_says() {
    let place = Place::new();
    let schema: Value = serde_json::from_str(&schema(&place)).unwrap();
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let helps =
        [words(&place.run(&["run", "--help"]).stdout), words(&place.run(&["serve", "--help"]).stdout)];
    for section in ["load", "target"] {
        for (key, said) in schema["properties"][section]["properties"].as_object().unwrap() {
            let said = said["description"].as_str().unwrap_or_else(|| panic!("{section}.{key} says nothing"));
            assert_eq!(
                schema["properties"]["matrix"]["properties"][format!("{section}.{key}")]["items"]["description"],
                said
            );
            let first = words(said.split("\n\n").next().unwrap());
            let flag = format!("--{}", key.replace('_', "-"));
            // The command's database is not the server's.
            if key != "database" && helps.iter().any(|help| help.contains(&format!("{flag} "))) {
                assert!(helps.iter().any(|help| help.contains(&first)), "{section}.{key}: {first}");
            }
        }
    }
}
