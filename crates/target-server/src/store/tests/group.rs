//! One transaction for whatever waits.

use super::*;

#[tokio::test]
async fn whatever_waits_is_one_transaction() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::start(&database(&folder), group(1024), &Arc::default()).unwrap();
    let outcomes = keep_at_once(&store, &numbered(500), async || {}).await;
    assert!(outcomes.iter().all(Result::is_ok));
    let figures = store.figures();
    assert_eq!((figures.rows, figures.failed), (500, 0));
    assert!(figures.transactions <= 2, "{figures:?}");
}

#[tokio::test]
async fn a_transaction_has_a_largest_size() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::start(&database(&folder), group(10), &Arc::default()).unwrap();
    keep_at_once(&store, &numbered(100), async || {}).await;
    let figures = store.figures();
    assert!((10..=11).contains(&figures.transactions), "{figures:?}");
    assert!(figures.batches.iter().all(|batches| batches.from <= 8), "{figures:?}");
}

#[tokio::test]
async fn only_the_guilty_row_of_a_transaction_fails() {
    for raise in ["ABORT", "FAIL", "ROLLBACK"] {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::start(&database(&folder), group(1024), &Arc::default()).unwrap();
        let trigger = format!(
            "CREATE TRIGGER picky BEFORE INSERT ON requests WHEN NEW.path IN ('/40', '/60')
             BEGIN SELECT RAISE({raise}, 'no thanks'); END"
        );
        execute(&folder, &trigger);
        let outcomes = keep_at_once(&store, &numbered(100), async || {}).await;
        let failed: Vec<_> = (0..100).filter(|n| outcomes[*n].is_err()).collect();
        assert_eq!(failed, [40, 60], "{raise}");
        assert_eq!(outcomes[40], Err(KeepError::Failed("no thanks".to_owned())));
        let mut rest = numbered(100);
        rest.retain(|path| path != "/40" && path != "/60");
        assert_eq!(paths(&folder), rest, "each once, in their order");
        let figures = store.figures();
        assert_eq!((figures.rows, figures.failed), (98, 2));
        store.keep(row("/later")).await.unwrap();
    }
}

#[tokio::test]
async fn a_commit_that_fails_fails_for_all() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::start(&database(&folder), group(1024), &Arc::default()).unwrap();
    // What is broken is noticed at the end of the transaction only, and leaves it open.
    execute(
        &folder,
        "CREATE TABLE parent (id INTEGER PRIMARY KEY);
         CREATE TABLE child (parent REFERENCES parent DEFERRABLE INITIALLY DEFERRED);
         CREATE TRIGGER orphan AFTER INSERT ON requests BEGIN INSERT INTO child VALUES (1); END",
    );
    let outcomes = keep_at_once(&store, &numbered(100), async || {}).await;
    let failed = Err(KeepError::Failed("FOREIGN KEY constraint failed".to_owned()));
    assert!(outcomes.iter().all(|outcome| *outcome == failed), "{outcomes:?}");
    assert_eq!(paths(&folder).len(), 0);
    assert_eq!((store.figures().rows, store.figures().failed), (0, 100));
    execute(&folder, "DROP TRIGGER orphan");
    store.keep(row("/later")).await.unwrap();
    assert_eq!(paths(&folder), ["/later"]);
}

#[tokio::test]
async fn without_the_lock_all_fail() {
    let folder = tempfile::tempdir().unwrap();
    let busy = Busy::Fixed(Duration::from_millis(1));
    let database = Database { busy, busy_timeout: Duration::from_millis(20), ..database(&folder) };
    let store = Store::start(&database, group(1024), &Arc::default()).unwrap();
    let all_failed = async || until(|| store.figures().failed == 100).await;
    let outcomes = keep_at_once(&store, &numbered(100), all_failed).await;
    let failed = Err(KeepError::Failed("database is locked".to_owned()));
    assert!(outcomes.iter().all(|outcome| *outcome == failed), "{outcomes:?}");
    store.keep(row("/later")).await.unwrap();
    assert_eq!(paths(&folder), ["/later"]);
}

#[tokio::test]
async fn finishing_commits_what_is_queued() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::start(&database(&folder), group(10), &Arc::default()).unwrap();
    let mut keeping: Vec<_> = (0..100).map(|_| Box::pin(store.keep(row("/")))).collect();
    for keep in &mut keeping {
        assert!(begin(keep).is_pending());
    }
    store.finish();
    assert_eq!(store.figures().rows, 100);
    // The answers are there too.
    for keep in keeping {
        keep.await.unwrap();
    }
}
