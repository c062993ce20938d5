//! Looks at all files of a mixture before a training, so that a picture that is missing is reported in the first minute and not
//! when its turn comes.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

use super::{DataError, Dataset, Mixture};

impl Mixture {
    /// Looks at every file that a sample may come from: whether it is there, whether pictures have a header that can be
    /// read and the size that their annotations are of, whether annotations can be read. No picture is decoded, so one
    /// that is damaged behind its header is not found.
    ///
    /// Runs on as many threads as the machine has. `progress` is called from any of the threads after each item, with the number
    /// of items done and the number of all items.
    ///
    /// Returns one error for each file that is missing or broken, sorted by path.
    pub fn check(&self, progress: &(dyn Fn(usize, usize) + Sync)) -> Vec<DataError> {
        let items: Vec<(&dyn Dataset, usize)> = self
            .datasets()
            .flat_map(|data| (0..data.len()).map(move |index| (data.as_ref(), index)))
            .collect();
        let done = AtomicUsize::new(0);
        let look = || {
            let found = items.par_iter().flat_map_iter(|(data, index)| {
                let wrong = data.check(*index);
                progress(done.fetch_add(1, Ordering::Relaxed) + 1, items.len());
                wrong
            });
            found.collect::<Vec<DataError>>()
        };
        // It has its own pool of threads, since training may have set the common one to a single thread, and here the threads
        // mostly wait for the disk.
        let threads = std::thread::available_parallelism().map_or(1, |n| n.get());
        let mut wrong = match rayon::ThreadPoolBuilder::new().num_threads(threads).build() {
            Ok(pool) => pool.install(look),
            Err(_) => look(),
        };
        wrong.sort_by(|a, b| a.path().cmp(&b.path()));
        let mut named = HashSet::new();
        wrong.retain(|error| match error.path() {
            Some(path) => named.insert(path.to_owned()),
            None => true,
        });
        wrong
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::refer;
    use super::super::*;

    #[test]
    fn a_check_names_every_broken_file_before_a_training() {
        use std::sync::atomic::{AtomicUsize, Ordering};

        let tree = refer();
        let reason = |name: &str| format!("reason_seg/ReasonSeg/train/{name}");
        let labels = r#"{"text":["x"],"is_sentence":false,"shapes":[]}"#;
        for name in ["a", "b", "c"] {
            tree.image(&reason(&format!("{name}.jpg")));
            tree.file(&reason(&format!("{name}.json")), labels);
        }
        tree.file("reason_seg/ReasonSeg/explanatory/train.json", "[]");
        let mug = "refer_seg/images/mscoco/images/train2014/a.jpg";
        tree.image(mug);
        tree.image("ade20k/images/training/a.jpg");
        let classes = |size: (u32, u32)| {
            let label = "ade20k/annotations/training/a.png";
            let rows = vec![1; (size.0 * size.1) as usize];
            let (color, depth) = (png::ColorType::Grayscale, png::BitDepth::Eight);
            tree.png(label, color, depth, size, &rows);
        };
        classes((6, 4));
        tree.image("coco/train2017/a.jpg");
        let talk = |to: &str| {
            let list = "llava_dataset/llava_instruct_150k.json";
            tree.file(list, format!(r#"[{{"image":"a.jpg","conversations":[{{"from":"human","value":"What?"}},{{"from":"{to}","value":"A mug."}}]}}]"#));
        };
        talk("gpt");
        let groups = ["refcoco||ReasonSeg|train", "ade20k", "llava_instruct_150k"];
        let groups = groups.map(|datasets| GroupSpec {
            datasets: datasets.to_owned(),
            rate: 1.0,
        });
        let check = || {
            let data = Mixture::open(tree.root(), &groups, MixtureOptions::default(), 1).unwrap();
            let (calls, last) = (AtomicUsize::new(0), AtomicUsize::new(0));
            let wrong = data.check(&|done, all| {
                calls.fetch_add(1, Ordering::Relaxed);
                last.fetch_max(done, Ordering::Relaxed);
                assert_eq!(all, data.len());
            });
            assert_eq!(calls.into_inner(), data.len());
            assert_eq!(last.into_inner(), data.len());
            let wrong = wrong.iter().map(|error| {
                let path = error.path().unwrap().strip_prefix(tree.root()).unwrap();
                let (path, said) = (path.to_str().unwrap().to_owned(), error.to_string());
                assert!(said.contains(&path) && !said.contains('\n'), "{said}");
                (path, said)
            });
            wrong.collect::<Vec<_>>()
        };
        assert_eq!(check(), []);

        tree.file(&reason("a.json"), "{");
        tree.file(&reason("b.jpg"), "GIF89a, which nobody reads");
        tree.file(&reason("c.jpg"), "\u{89}");
        std::fs::remove_file(tree.root().join(mug)).unwrap();
        classes((4, 6));
        talk("human");
        let wrong = check();
        let named: Vec<&str> = wrong.iter().map(|(path, _)| path.as_str()).collect();
        let [a, b, c] = ["a.json", "b.jpg", "c.jpg"].map(reason);
        assert_eq!(
            named,
            [
                "ade20k/images/training/a.jpg",
                "llava_dataset/llava_instruct_150k.json",
                &a,
                &b,
                &c,
                mug
            ]
        );
        assert!(
            wrong[0].1.contains("6×4, and its annotations are of 4×6"),
            "{}",
            wrong[0].1
        );
        assert!(
            wrong[3].1.contains("Gif") && wrong[3].1.contains("accepted: PNG"),
            "{}",
            wrong[3].1
        );
    }
}
