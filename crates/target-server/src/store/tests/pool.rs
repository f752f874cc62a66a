//! Threads that each write a transaction per row.

use super::*;

#[tokio::test]
async fn as_many_threads_want_the_lock_as_there_are_rows() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::start(&database(&folder), pool(4), &Arc::default()).unwrap();
    let outcomes = keep_at_once(&store, &numbered(5), async || until(|| store.waiting() == 1).await).await;
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    let figures = store.figures();
    assert_eq!((figures.rows, figures.transactions), (5, 5));
}
