//! The two services that steer the node as a whole.

use r2r::std_srvs::srv::{SetBool, Trigger};
use r2r::ServiceRequest;

use super::shared::Shared;
use super::spin::reply;
use crate::engine::Engine;

/// `~/enable`: whether frames and instructions are taken. What is being answered is answered.
pub fn enable(shared: &Shared, request: ServiceRequest<SetBool::Service>) {
    let on = request.message.data;
    shared.set_enabled(on);
    let message = match on {
        true => "enabled",
        false => "disabled: frames and instructions are not taken",
    };
    tracing::info!("{message}");
    let response = SetBool::Response {
        success: true,
        message: message.to_owned(),
    };
    reply(request, response);
}

/// `~/reset_conversation`: all of them are forgotten before the next question.
pub fn reset(engine: &Engine, request: ServiceRequest<Trigger::Service>) {
    engine.reset_conversation(None);
    let message = "all conversations were forgotten".to_owned();
    tracing::info!("{message}");
    let response = Trigger::Response {
        success: true,
        message,
    };
    reply(request, response);
}
