//! What holds of the values by which Envoys and workers tell each other what has ended.

use bearer_gate::ended::shard::{Shard, WhenFull};
use bearer_gate::ended::{Ending, Mark};

/// A value that is read has one form, whoever wrote it.
pub(crate) fn ended(bytes: &[u8]) {
    if let Some(ending) = Ending::decode(bytes) {
        assert_eq!(ending.encode(), bytes);
        let count = ending.count();
        let whole = ending.start(usize::MAX, usize::MAX);
        assert_eq!(whole.encode(), bytes);
        assert_eq!(ending.without_claims().count().claims, 0);
        let mut both = ending.clone();
        both.and(&ending);
        assert!(both.count().proven <= count.proven && both.count().claims <= count.claims);
        both.leave_out(&ending);
        assert!(both.is_empty());
    }
    if let Some(shard) = Shard::decode(bytes) {
        assert_eq!(shard.encode(), bytes);
        let mark = Mark::of_sid("https://idp.example/", "s-1");
        let mut more = shard;
        if more.put(mark, 7, WhenFull::Floor).is_ok() {
            assert!(more.ends(&mark, 7));
            assert_eq!(Shard::decode(&more.encode()), Some(more));
        }
    }
}
