//! What every file here does with r2r: taking what a stream holds, answering a service, publishing a message.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::{FutureExt, Stream, StreamExt};
use r2r::{Publisher, ServiceRequest, WrappedServiceTypeSupport, WrappedTypesupport};

use super::stall::MiddlewareCall;

/// A stream of messages or requests, as r2r returns it for a subscription or a service.
pub type R2rStream<T> = Box<dyn Stream<Item = T> + Unpin + Send>;

/// Boxes a stream, so that its type can be named.
pub fn r2r_stream<T>(stream: impl Stream<Item = T> + Unpin + Send + 'static) -> R2rStream<T> {
    Box::new(stream)
}

/// Takes everything that has arrived, without waiting.
pub fn drain<T>(stream: &mut R2rStream<T>, mut take: impl FnMut(T)) {
    while let Some(Some(item)) = stream.next().now_or_never() {
        take(item);
    }
}

/// How long after one attempt to answer a late client the next one is made. An attempt itself waits 100 ms in the middleware, and the
/// spinning thread may have to wait for it, so there are few of them.
const LATE_REPLIES: [Duration; 6] = [
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(3),
];

/// How many answers may be late at the same time. A client that waits is one thread.
const MAX_LATE: usize = 16;

/// The answers that are late now.
static LATE: AtomicUsize = AtomicUsize::new(0);

/// Answers a service request. If the client has gone, that is logged and nothing else.
///
/// A client's first request may arrive before this node has discovered the reader of its responses. The middleware then waits for it
/// for 100 ms and gives the response up with `RCL_RET_TIMEOUT` (`__rmw_send_response` in rmw_fastrtps_shared_cpp), and the client
/// waits for ever. So the response is sent again on a thread of its own, for up to 5 s. A client that leaves meanwhile ends that:
/// the middleware knows it, and says that all is well.
pub fn reply<T: WrappedServiceTypeSupport + 'static>(
    request: ServiceRequest<T>,
    response: T::Response,
) where
    T::Response: Clone + Send,
{
    match try_reply(&request, &response) {
        Ok(()) => {}
        Err(r2r::Error::RCL_RET_TIMEOUT) => reply_late(request, response),
        Err(error) => warn_unsent(&error),
    }
}

fn reply_late<T: WrappedServiceTypeSupport + 'static>(
    request: ServiceRequest<T>,
    response: T::Response,
) where
    T::Response: Clone + Send,
{
    if LATE.fetch_add(1, Ordering::Relaxed) >= MAX_LATE {
        LATE.fetch_sub(1, Ordering::Relaxed);
        return warn_unsent(&"too many others are late");
    }
    let thread = std::thread::Builder::new().name("late-reply".to_owned());
    let spawned = thread.spawn(move || {
        let attempt = || try_reply(&request, &response);
        if let Err(error) = retry(attempt, std::thread::sleep) {
            warn_unsent(&error);
        }
        LATE.fetch_sub(1, Ordering::Relaxed);
    });
    if let Err(error) = spawned {
        LATE.fetch_sub(1, Ordering::Relaxed);
        warn_unsent(&error);
    }
}

fn warn_unsent(why: &dyn std::fmt::Display) {
    tracing::warn!("a service reply could not be sent: {why}");
}

fn try_reply<T: WrappedServiceTypeSupport + 'static>(
    request: &ServiceRequest<T>,
    response: &T::Response,
) -> r2r::Result<()>
where
    T::Response: Clone,
{
    let _call = MiddlewareCall::begin("answering a service request");
    request.clone().respond(response.clone())
}

/// Repeats an `attempt` that the middleware gave up, until it succeeds, fails otherwise or has been made often enough.
fn retry(
    mut attempt: impl FnMut() -> r2r::Result<()>,
    mut sleep: impl FnMut(Duration),
) -> r2r::Result<()> {
    let mut last = Err(r2r::Error::RCL_RET_TIMEOUT);
    for pause in LATE_REPLIES {
        sleep(pause);
        last = attempt();
        if !matches!(last, Err(r2r::Error::RCL_RET_TIMEOUT)) {
            break;
        }
    }
    last
}

/// Publishes a message. If the middleware refuses it, that is logged, and the message is lost.
pub fn send<T: WrappedTypesupport + 'static>(publisher: &Publisher<T>, message: &T) {
    let published = {
        let _call = MiddlewareCall::begin("publishing");
        publisher.publish(message)
    };
    if let Err(error) = published {
        tracing::error!(
            "a {} could not be published: {error}",
            std::any::type_name::<T>()
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How often an attempt is made that has these results, what comes of it, and how long it slept.
    fn retried(results: &[r2r::Result<()>]) -> (usize, bool, Duration) {
        let (mut made, mut slept) = (0, Duration::ZERO);
        let attempt = || {
            made += 1;
            match results.get(made - 1) {
                Some(Ok(())) => Ok(()),
                Some(Err(_)) => Err(r2r::Error::RCL_RET_SERVICE_INVALID),
                None => Err(r2r::Error::RCL_RET_TIMEOUT),
            }
        };
        let is_sent = retry(attempt, |pause| slept += pause).is_ok();
        (made, is_sent, slept)
    }

    #[test]
    fn a_response_that_was_given_up_is_sent_again_for_a_while() {
        assert_eq!(retried(&[Ok(())]), (1, true, LATE_REPLIES[0]));
        let gone = Err(r2r::Error::RCL_RET_SERVICE_INVALID);
        assert_eq!(retried(&[gone]), (1, false, LATE_REPLIES[0]));
        let (made, is_sent, slept) = retried(&[]);
        assert_eq!((made, is_sent), (LATE_REPLIES.len(), false));
        assert!(slept < Duration::from_secs(5), "{slept:?}");
    }
}
