//! What every file here does with r2r: taking what a stream holds, answering a service, publishing a message.

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

/// Answers a service request. If the client has gone, that is logged and nothing else.
pub fn reply<T: WrappedServiceTypeSupport + 'static>(
    request: ServiceRequest<T>,
    response: T::Response,
) {
    let replied = {
        let _call = MiddlewareCall::begin("answering a service request");
        request.respond(response)
    };
    if let Err(error) = replied {
        tracing::warn!("a service reply could not be sent: {error}");
    }
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
