//! Rows through a real store into a real database.

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use rusqlite::Connection;

use super::*;
use crate::log::{Event, Level, Log};

mod checkpoints;
mod group;
mod pool;

fn pool(threads: u16) -> Crew {
    Crew { name: "pool", threads, batch_max: 1, queue_max: 0 }
}

fn group(batch_max: usize) -> Crew {
    Crew { name: "group", threads: 1, batch_max, queue_max: 0 }
}

/// Somewhere to count, and the events that were told meanwhile. They are asked for once, at the end.
fn told() -> (Arc<Stats>, impl FnOnce() -> Vec<serde_json::Value>) {
    let (reader, writer) = std::io::pipe().unwrap();
    let log = Arc::new(Log::new(Level::Debug, false, None, writer).unwrap());
    let stats = Arc::new(Stats::new(Arc::clone(&log)));
    let events = move || {
        assert!(log.finish(Event::new("stopped", "")));
        let text = std::io::read_to_string(reader).unwrap();
        let mut events: Vec<_> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        events.pop();
        events
    };
    (stats, events)
}

/// Takes the first step, after which the row is queued or refused.
fn begin<F: Future>(future: &mut Pin<Box<F>>) -> Poll<F::Output> {
    future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

type Outcome = Result<Kept, KeepError>;

/// Queues rows all at once, while nobody can write, and gives what becomes of them after `meanwhile`. So a group has the
/// first few in its first transaction and the others in the next.
async fn keep_at_once(store: &Store, paths: &[String], meanwhile: impl AsyncFnOnce()) -> Vec<Outcome> {
    let Store::Database(writers) = store else { unreachable!("only databases are locked") };
    let lock = Connection::open(writers.path()).unwrap();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut keeping: Vec<_> = paths.iter().map(|path| Box::pin(store.keep(row(path)))).collect();
    let begun: Vec<_> = keeping.iter_mut().map(begin).collect();
    meanwhile().await;
    lock.execute_batch("ROLLBACK").unwrap();
    let mut outcomes = Vec::new();
    for (keep, begun) in keeping.into_iter().zip(begun) {
        outcomes.push(match begun {
            Poll::Ready(outcome) => outcome,
            Poll::Pending => keep.await,
        });
    }
    outcomes
}

fn numbered(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("/{n}")).collect()
}

/// Paths of the rows in the order of their ids.
fn paths(folder: &tempfile::TempDir) -> Vec<String> {
    let reader = Connection::open(database(folder).path).unwrap();
    let mut select = reader.prepare("SELECT path FROM requests ORDER BY id").unwrap();
    select.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
}

fn execute(folder: &tempfile::TempDir, sql: &str) {
    Connection::open(database(folder).path).unwrap().execute_batch(sql).unwrap();
}

pub(super) fn database(folder: &tempfile::TempDir) -> Database {
    let path = folder.path().join("requests.db");
    Database {
        path,
        synchronous: Synchronous::Normal,
        busy: Busy::Sqlite,
        busy_timeout: Duration::from_secs(10),
        checkpoints: Checkpoints::Auto,
        autoincrement: Autoincrement { wanted: true, demanded: false },
    }
}

fn row(uri: &str) -> Row {
    let uri = uri.parse().unwrap();
    Row {
        method: http::Method::POST,
        uri,
        content_length: 5,
        remote_addr: Some(std::net::IpAddr::from([192, 0, 2, 1]).into()),
    }
}

#[tokio::test]
async fn a_row_says_what_was_asked() {
    let folder = tempfile::tempdir().unwrap();
    let stats = Arc::new(Stats::default());
    let store = Store::start(&database(&folder), pool(2), &stats).unwrap();
    let before = crate::clock::unix_seconds();
    store.keep(row("/a%20b?c=d")).await.unwrap();
    store.keep(row("http://example.org/x")).await.unwrap();
    let reader = Connection::open(database(&folder).path).unwrap();
    let read = |id: i64| {
        let sql = "SELECT method, path, content_length, remote_addr, timestamp FROM requests WHERE id = ?1";
        reader
            .query_row(sql, [id], |row| {
                let text: (String, String, i64, String) =
                    (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
                Ok((text, row.get::<_, f64>(4)?))
            })
            .unwrap()
    };
    let ((method, path, length, client), timestamp) = read(1);
    assert_eq!((&*method, &*path, length, &*client), ("POST", "/a%20b?c=d", 5, "192.0.2.1"));
    assert!(timestamp >= before && timestamp < before + 60.0);
    assert_eq!(read(2).0.1, "/x");
    assert_eq!(stats.counts().rows, 2);
}

#[tokio::test]
async fn a_failed_row_is_an_error_and_the_next_one_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let stats = Arc::new(Stats::default());
    let store = Store::start(&database(&folder), pool(1), &stats).unwrap();
    let other = Connection::open(database(&folder).path).unwrap();
    other
        .execute_batch(
            "CREATE TRIGGER picky BEFORE INSERT ON requests WHEN NEW.path = '/bad'
             BEGIN SELECT RAISE(FAIL, 'no thanks'); END",
        )
        .unwrap();
    let error = store.keep(row("/bad")).await.unwrap_err().to_string();
    assert_eq!(error, "the request could not be recorded: no thanks");
    store.keep(row("/good")).await.unwrap();
    assert_eq!(stats.counts().rows, 1);
    assert!(other.is_autocommit());
    assert_eq!(other.query_row("SELECT count(*) FROM requests", [], |row| row.get::<_, i64>(0)).unwrap(), 1);
}

#[tokio::test]
async fn a_lock_that_is_not_released_fails_after_the_busy_timeout() {
    let folder = tempfile::tempdir().unwrap();
    let mut database = database(&folder);
    database.busy_timeout = Duration::from_millis(20);
    let store = Store::start(&database, pool(1), &Arc::default()).unwrap();
    let other = Connection::open(&database.path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = store.keep(row("/")).await.unwrap_err().to_string();
    assert_eq!(error, "the request could not be recorded: database is locked");
    other.execute_batch("ROLLBACK").unwrap();
    store.keep(row("/")).await.unwrap();
}

#[tokio::test]
async fn finishing_commits_what_is_queued_and_refuses_what_comes_later() {
    let folder = tempfile::tempdir().unwrap();
    let stats = Arc::new(Stats::default());
    let store = Store::start(&database(&folder), pool(1), &stats).unwrap();
    let mut kept: Vec<_> = (0..100).map(|_| Box::pin(store.keep(row("/")))).collect();
    for keep in &mut kept {
        assert!(begin(keep).is_pending());
    }
    store.finish();
    assert_eq!(stats.counts().rows, 100);
    assert!(matches!(store.keep(row("/")).await, Err(KeepError::Closed)));
    assert!(!database(&folder).path.with_extension("db-wal").exists(), "the last one out checkpoints");
}

#[tokio::test]
async fn who_comes_first_is_kept_first() {
    for crew in [pool(1), group(7), group(1024)] {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::start(&database(&folder), crew, &Arc::default()).unwrap();
        let outcomes = keep_at_once(&store, &numbered(100), async || {}).await;
        assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
        assert_eq!(paths(&folder), numbered(100), "{crew:?}");
    }
}

#[tokio::test]
async fn a_full_queue_refuses_until_it_has_room() {
    let folder = tempfile::tempdir().unwrap();
    let crew = Crew { queue_max: 2, ..pool(1) };
    let store = Store::start(&database(&folder), crew, &Arc::default()).unwrap();
    let lock = Connection::open(database(&folder).path).unwrap();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    let [mut first, mut second, mut third] = ["/1", "/2", "/3"].map(|path| Box::pin(store.keep(row(path))));
    assert!(begin(&mut first).is_pending());
    // The first is taken up, and waits for the lock; the others wait for its thread.
    until(|| store.figures().queue == 0).await;
    assert!(begin(&mut second).is_pending() && begin(&mut third).is_pending());
    assert_eq!(store.keep(row("/full")).await, Err(KeepError::Full(2)));
    lock.execute_batch("ROLLBACK").unwrap();
    for keep in [first, second, third] {
        keep.await.unwrap();
    }
    let figures = store.figures();
    assert_eq!((figures.queue, figures.queue_longest, figures.queue_max), (0, 2, Some(2)));
    assert_eq!((figures.refused, figures.rows), (1, 3));
    store.keep(row("/later")).await.unwrap();
}

#[tokio::test]
async fn a_row_says_where_its_time_went() {
    const HELD: Duration = Duration::from_millis(40);
    let folder = tempfile::tempdir().unwrap();
    let store = Store::start(&database(&folder), pool(1), &Arc::default()).unwrap();
    let outcomes = keep_at_once(&store, &numbered(2), async || tokio::time::sleep(HELD).await).await;
    let [first, second] = [&outcomes[0], &outcomes[1]].map(|outcome| outcome.clone().unwrap());
    assert!(first.lock >= HELD / 2 && first.queue < HELD, "{first:?}");
    assert!(second.queue >= HELD / 2 && second.queue >= first.lock, "{second:?}");
    assert!(first.commit > Duration::ZERO && first.commit < HELD * 100, "{first:?}");
    assert_eq!(Store::None.keep(row("/")).await, Ok(Kept::default()));
}

#[tokio::test]
async fn nobody_waits_for_a_thread_that_has_ended() {
    let folder = tempfile::tempdir().unwrap();
    // It takes nothing up, and so ends at the first row as if there were none left.
    let (stats, events) = told();
    let store = Store::start(&database(&folder), group(0), &stats).unwrap();
    assert!(!store.is_closed());
    for _ in 0..3 {
        let outcome = tokio::time::timeout(Duration::from_secs(10), store.keep(row("/"))).await;
        assert_eq!(outcome.expect("it is answered"), Err(KeepError::Closed));
    }
    assert!(store.is_closed());
    assert_eq!((store.figures().failed, store.figures().queue), (3, 0));
    // Others may still commit what they had taken up. That proves nothing.
    stats.troubles.committed();
    store.prove();
    stats.troubles.finish();
    let events = events();
    let told: Vec<_> = events.iter().map(|event| (&event["event"], &event["level"], &event["hit"])).collect();
    let null = serde_json::Value::Null;
    assert_eq!(
        told,
        [
            (&"store-closed".into(), &"error".into(), &null),
            (&"store-closed-ended".into(), &"error".into(), &3.into())
        ]
    );
    assert_eq!(events[1]["well"], false);
}

#[tokio::test]
async fn a_store_that_finishes_is_no_trouble() {
    let folder = tempfile::tempdir().unwrap();
    let (stats, events) = told();
    let store = Store::start(&database(&folder), pool(2), &stats).unwrap();
    store.keep(row("/")).await.unwrap();
    store.finish();
    assert_eq!(store.keep(row("/late")).await, Err(KeepError::Closed));
    let mut log = database(&folder).path.into_os_string();
    log.push("-wal");
    assert!(!Path::new(&log).exists(), "SQLite deletes it with the last connection");
    store.check();
    store.prove();
    stats.troubles.finish();
    assert_eq!(events(), [] as [serde_json::Value; 0]);
}

#[tokio::test]
async fn who_leaves_and_who_fails_is_in_the_times() {
    const HELD: Duration = Duration::from_millis(40);
    for crew in [pool(1), group(1024)] {
        let folder = tempfile::tempdir().unwrap();
        let stats = Arc::new(Stats::default());
        let database = Database { busy_timeout: HELD, ..database(&folder) };
        let store = Store::start(&database, crew, &stats).unwrap();
        let lock = Connection::open(&database.path).unwrap();
        lock.execute_batch("BEGIN IMMEDIATE").unwrap();
        assert_eq!(
            store.keep(row("/fails")).await,
            Err(KeepError::Failed("database is locked".to_owned())),
            "{crew:?}"
        );
        let failed = stats.account().times;
        assert_eq!([failed.queue.count, failed.lock.count, failed.commit.count], [1, 1, 0], "{crew:?}");
        assert!(failed.lock.max_ns >= Some(u64::try_from(HELD.as_nanos() / 2).unwrap()), "{failed:?}");
        let mut left: Vec<_> = (0..3).map(|_| Box::pin(store.keep(row("/left")))).collect();
        assert!(left.iter_mut().all(|keep| begin(keep).is_pending()));
        drop(left);
        lock.execute_batch("ROLLBACK").unwrap();
        store.finish();
        let figures = store.figures();
        let times = stats.account().times;
        assert_eq!(figures.rows + figures.failed, 4, "{crew:?}");
        assert_eq!(
            [times.queue.count, times.lock.count, times.commit.count],
            [4, 4, figures.rows],
            "{crew:?}"
        );
    }
}

#[tokio::test]
async fn a_database_that_is_deleted_or_replaced_is_noticed() {
    for crew in [pool(1), group(1024)] {
        for replaced in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let path = database(&folder).path;
            let store = Store::start(&database(&folder), crew, &Arc::default()).unwrap();
            store.keep(row("/")).await.unwrap();
            for file in ["requests.db", "requests.db-wal", "requests.db-shm"] {
                std::fs::remove_file(folder.path().join(file)).unwrap();
            }
            if replaced {
                prepare(&database(&folder)).unwrap();
            }
            assert_eq!(store.keep(row("/")).await, Err(KeepError::Gone(path.clone())));
            let figures = store.figures();
            assert_eq!((figures.rows, figures.failed), (1, 1));
            store.finish();
            assert_eq!(path.exists(), replaced, "nothing is created in its stead");
        }
    }
}

#[tokio::test]
async fn a_log_that_is_deleted_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::start(&database(&folder), group(1024), &Arc::default()).unwrap();
    store.keep(row("/")).await.unwrap();
    std::fs::remove_file(folder.path().join("requests.db-wal")).unwrap();
    assert_eq!(store.keep(row("/")).await, Err(KeepError::Gone(database(&folder).path)));
}

#[tokio::test]
async fn a_database_behind_a_link_is_watched_where_it_lies() {
    for relinked in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let real = folder.path().join("real");
        std::fs::create_dir(&real).unwrap();
        let path = folder.path().join("link.db");
        std::os::unix::fs::symlink("real/x.db", &path).unwrap();
        let database = Database { path: path.clone(), ..database(&folder) };
        let store = Store::start(&database, group(1024), &Arc::default()).unwrap();
        store.keep(row("/")).await.unwrap();
        assert!(store.figures().wal_bytes > Some(0));
        if relinked {
            std::fs::write(real.join("y.db"), "").unwrap();
            std::fs::remove_file(&path).unwrap();
            std::os::unix::fs::symlink("real/y.db", &path).unwrap();
        } else {
            std::fs::remove_file(real.join("x.db-wal")).unwrap();
        }
        assert_eq!(store.keep(row("/")).await, Err(KeepError::Gone(path)));
    }
}

#[tokio::test]
async fn the_store_knows_itself() {
    let folder = tempfile::tempdir().unwrap();
    let fixed = Database {
        synchronous: Synchronous::Full,
        busy: Busy::Fixed(Duration::from_millis(1)),
        autoincrement: Autoincrement { wanted: false, demanded: true },
        ..database(&folder)
    };
    let store = Store::start(&fixed, group(1024), &Arc::default()).unwrap();
    let waiting = async || until(|| store.figures().busy_retries > Some(3)).await;
    keep_at_once(&store, &numbered(3), waiting).await;
    let figures = store.figures();
    assert_eq!((&*figures.store, figures.rows, figures.failed), ("group", 3, 0));
    assert_eq!((figures.autoincrement, figures.checkpoints), (Some(false), None));
    assert_eq!(figures.sqlite.as_deref(), Some(rusqlite::version()));
    let pragma = |name| figures.pragmas[name].to_string();
    assert_eq!([pragma("journal_mode"), pragma("synchronous")], ["\"wal\"", "2"]);
    assert_eq!(pragma("wal_autocheckpoint"), "1000");
    assert!(figures.wal_bytes > Some(0) && figures.wal_bytes_largest >= figures.wal_bytes.unwrap());
    let told = serde_json::to_string(&figures).unwrap();
    assert_eq!(serde_json::from_str::<Figures>(&told).unwrap(), figures);
    assert_eq!(Store::None.figures().store, "none");
    store.reset();
    let figures = store.figures();
    assert_eq!((figures.rows, figures.transactions, figures.batches.len()), (0, 0, 0));
    assert_eq!((figures.queue_longest, figures.busy_retries), (0, Some(0)));
    assert!(figures.wal_bytes_largest > 0 && !figures.pragmas.is_empty(), "what is so stays so: {figures:?}");
}

#[test]
fn an_existing_table_is_as_it_is() {
    for is in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let wanting = |wanted, demanded| {
            let autoincrement = Autoincrement { wanted, demanded };
            prepare(&Database { autoincrement, ..database(&folder) })
        };
        wanting(is, true).unwrap();
        wanting(!is, false).unwrap();
        let said = wanting(!is, true).unwrap_err().to_string();
        let made = if is { "with" } else { "without" };
        assert!(
            said.contains(&format!("was made {made} AUTOINCREMENT; leave out --autoincrement")),
            "{said}"
        );
    }
}

#[test]
fn a_table_of_somebody_else_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    execute(&folder, "CREATE TABLE requests (id INTEGER PRIMARY KEY, what TEXT)");
    let said = prepare(&database(&folder)).unwrap_err().to_string();
    assert!(said.contains("table requests has no column named timestamp"), "{said}");
}

/// Waits for a condition, without keeping others of the same thread from their work.
async fn until(mut is_so: impl FnMut() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), waiting).await.expect("it becomes so");
}
