//! Recorded bags as the node would see them: which frame an instruction is about, what the engine answers, and how well that
//! agrees with the truth.
//!
//! | file | one idea |
//! |---|---|
//! | `images.rs` | which topics carry images; decoding their messages as the node does |
//! | `instructions.rs`, `timeline.rs` | reading instructions; finding the frame of each as the node does |
//! | `space.rs` | which topics carry depth images, calibrations and transforms |
//! | `answering.rs` | asking the engine, and measuring where the objects of an answer are |
//! | `annotate.rs`, `work_folder.rs` | writing answers into a bag; the folder from which an interrupted run resumes |
//! | `ground_truth.rs`, `true_boxes.rs`, `recorded.rs`, `judge.rs` | true masks; true boxes in space; recorded results of the node; scoring either kind of answers |
//! | `records.rs`, `origin.rs` | what is kept of a judged recording, and the report of one or of many; which robot's it is, and of which day |
//! | `following.rs` | following what is asked for from frame to frame, and scoring that |
//! | `compare.rs` | whether two sets of answers are equal |
//! | `messages.rs` | messages that are read again by their position in the bag, and the masks in them |
//! | `error.rs` | what can be wrong with a recording |

mod annotate;
mod answering;
mod compare;
mod error;
mod following;
mod ground_truth;
mod images;
mod instructions;
mod judge;
mod judged_places;
mod messages;
mod origin;
mod recorded;
mod records;
mod space;
mod timeline;
mod true_boxes;
mod work_folder;

pub use annotate::{AnnotateOptions, Annotator};
pub use answering::{AnsweredQuestion, Asker};
pub use compare::{compare, Comparison};
pub use error::ReplayError;
pub use following::{follow, FollowOptions, FollowReport, FollowedFrame, FollowedGoal, Way};
pub use ground_truth::{GroundTruth, Truth};
pub use images::{
    camera_topic, decode_image, image_file, image_topic, image_topics, raw_image, DecodedImage,
    ImageFile, ImageTopic, RawImage,
};
pub use instructions::instruction_topics;
pub use judge::Judge;
pub use judged_places::AnswerPlacesRecord;
pub use origin::{day, robot, robot_by_place};
pub use recorded::{result_topic, RecordedPlace, RecordedResult, RecordedResults};
pub use records::{
    BagFault, BagRecord, BagReport, BagRow, InstructionRecord, InstructionRow, Outcome,
    RecordsTally,
};
pub use space::{DepthTransport, FoundSpace, SpaceChoice, SpaceTopics};
pub use timeline::{Questions, RecordedFrame, RecordedScene, ResolvedQuestion, Timeline};
pub use true_boxes::TrueBoxes;
