//! Questions of the page: nothing of them is published, and their objects get places as those of others do.

use std::sync::Arc;

use image::RgbImage;

use super::harness::{answer, header, object, Harness, MS};
use super::*;
use crate::engine::{Frame, RequestError};

fn asked(node: &mut Harness, frame: &Frame, stamp: Stamp) -> QuestionId {
    let id = (node.core).handle_page_question(header(stamp), frame.clone(), node.now);
    node.drain();
    assert!(id.is_page() && !id.is_follower());
    id
}

/// What the page was told, one word each, and its places.
fn told(node: &Harness) -> Vec<String> {
    let page = node.log.iter().filter(|line| line.starts_with("page "));
    let word = |line: &String| {
        let event = line.split_once(") ").unwrap_or_default().1;
        let kind = event.split(['(', ' ']).next().unwrap_or_default();
        let place = ["NoDepth", "NoCameraInfo"]
            .into_iter()
            .find(|why| event.contains(why));
        [kind, place.unwrap_or_default()]
            .join(" ")
            .trim()
            .to_owned()
    };
    page.map(word).collect()
}

fn picture() -> Frame {
    Frame::new(RgbImage::new(2, 2))
}

#[test]
fn the_objects_of_the_page_wait_for_their_places_and_nothing_is_published() {
    let mut node = Harness::new(in_space());
    node.core
        .handle_camera_info(Camera::Colour, calibration(), node.now);
    node.frame(Stamp(1000 * MS), true);
    let id = asked(&mut node, &picture(), Stamp(1000 * MS));
    node.event(id, Event::Stage(Stage::Clip));
    node.event(id, Event::Mask(object()));
    node.event(id, Event::Done(Box::new(answer())));
    assert_eq!(told(&node), ["Stage"], "the object has no place yet");
    node.core.handle_depth(depth(Stamp(1010 * MS)), node.now);
    node.drain();
    assert_eq!(node.locating, [(id, 0)]);
    node.place((id, 0));
    let all = ["Stage", "Object NoCameraInfo", "Done NoCameraInfo"];
    assert_eq!(told(&node), all);
    assert!(kinds(&node)
        .iter()
        .all(|kind| ["page", "locate"].contains(kind)));
    assert_eq!(node.core.page_questions(), 0);
    assert_eq!(
        node.core_questions(),
        0,
        "the numbers of instructions do not depend on the page"
    );
}

#[test]
fn what_is_missing_is_named_to_the_page_after_as_long_as_everybody_waits() {
    let mut node = Harness::new(in_space());
    node.frame(Stamp(1000 * MS), true);
    let id = asked(&mut node, &picture(), Stamp(1000 * MS));
    node.event(id, Event::Done(Box::new(answer())));
    node.pass(499);
    assert!(told(&node).is_empty());
    node.pass(1);
    assert_eq!(told(&node), ["Done NoDepth"]);
    // Without a depth topic nothing waits, and nothing is said of places.
    let mut node = Harness::new(Settings::default());
    let id = asked(&mut node, &picture(), Stamp(1000 * MS));
    node.event(id, Event::Done(Box::new(answer())));
    assert_eq!(told(&node), ["Done"]);
}

/// The stores forget a depth image after a second; the page lets people ask again about a picture of minutes ago.
#[test]
fn a_picture_that_is_asked_about_again_is_measured_with_its_own_depth_image() {
    let mut node = Harness::new(in_space());
    let kept = picture();
    node.core
        .handle_camera_info(Camera::Colour, calibration(), node.now);
    node.core.handle_depth(depth(Stamp(1000 * MS)), node.now);
    let first = asked(&mut node, &kept, Stamp(1000 * MS));
    node.event(first, Event::Done(Box::new(answer())));
    node.place((first, 0));
    for later in 1..=40 {
        node.pass(33);
        let stamp = Stamp((1000 + 33 * later) * MS);
        node.core.handle_depth(depth(stamp), node.now);
    }
    let other = asked(&mut node, &picture(), Stamp(1000 * MS));
    node.event(other, Event::Done(Box::new(answer())));
    let again = asked(&mut node, &kept, Stamp(1000 * MS));
    node.event(again, Event::Done(Box::new(answer())));
    assert_eq!(node.locating, [(first, 0), (again, 0)]);
    // Measured otherwise, it has to be looked for anew.
    let mut settings = in_space();
    settings.space.rectified = true;
    node.core.handle_settings(Arc::new(settings), node.now);
    let anew = asked(&mut node, &kept, Stamp(1000 * MS));
    node.event(anew, Event::Done(Box::new(answer())));
    assert_eq!(told(&node).last().unwrap(), "Done NoDepth");
}

#[test]
fn the_page_is_told_when_its_question_fails_or_the_node_ends() {
    let mut node = Harness::new(in_space());
    let failed = asked(&mut node, &picture(), Stamp(MS));
    let error = RequestError::Cancelled { tokens: 1 };
    node.event(failed, Event::Failed(error));
    let refused = asked(&mut node, &picture(), Stamp(MS));
    node.core.handle_page_refusal(refused);
    let open = asked(&mut node, &picture(), Stamp(MS));
    node.event(open, Event::Done(Box::new(answer())));
    node.core.handle_deactivate("inactive", node.now);
    node.drain();
    assert_eq!(told(&node), ["Failed", "Refused"]);
    assert!(node
        .log
        .last()
        .unwrap()
        .contains("the node was deactivated"));
    node.event(open, Event::Done(Box::new(answer())));
    assert_eq!(told(&node).len(), 2, "nothing comes after its end");
}
