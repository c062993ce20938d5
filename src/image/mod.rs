//! Pixels: decoding, camera encodings, CLIP and SAM preprocessing, masks, overlays.
//!
//! Pictures are [`RgbImage`](::image::RgbImage) and [`GrayImage`](::image::GrayImage) of the crate `image`, and what the networks
//! read is an [`ndarray::Array3`]. Neither ROS nor the tensor library is named here. A file or message is checked where it
//! enters, in `decode` and `encoding`, and refused with a typed error.
//!
//! | file | what it is |
//! |---|---|
//! | `decode`, with `jpeg`; `compressed` | picture files to RGB; `sensor_msgs/CompressedImage` to RGB |
//! | `encode` | pixels to picture files |
//! | `encoding`, with `layout`, `packed`, `yuv`, `bayer` | `sensor_msgs/Image` to RGB |
//! | `pixels` | `sensor_msgs/Image` to pixels of all its bits, gray and depth included |
//! | `depth` | which messages are depth maps and not pictures |
//! | `resample` | antialiased resizing, bit-equal to Pillow's |
//! | `clip`, `sam`, with `normalise` | what the two encoders read |
//! | `mask`, with `roi` | logits to masks; box, area, union, overlap |
//! | `overlay`, with `paint`, `lettering` | masks, labels and caption drawn on a picture |
//! | `view`, `heat` | where the vision tower's patches lie on a picture; attention drawn on a picture |

mod bayer;
mod clip;
mod compressed;
mod decode;
mod depth;
mod encode;
mod encoding;
mod error;
#[cfg(test)]
mod golden;
mod heat;
mod jpeg;
mod layout;
mod lettering;
mod mask;
mod normalise;
mod overlay;
mod packed;
mod paint;
mod pixels;
mod resample;
mod roi;
mod sam;
mod view;
mod yuv;

pub use clip::{ClipFit, ClipFitError, ClipPreprocessor};
pub use compressed::decode_compressed;
pub use decode::{decode_image, picture_format, read_image, whole_picture, PictureFormat};
pub use depth::{Depth, DEPTH_HEADER};
pub use encode::{encode_jpeg, encode_png, EncodeError};
pub use encoding::{EncodedImage, RosImage};
pub use error::{EncodingError, ImageError, ACCEPTED_ENCODINGS, MAX_PIXELS, MAX_SIDE};
pub use heat::{draw_heat, RAMP as HEAT_RAMP};

pub use lettering::draw_text;
pub use mask::{crop_mask, paste_mask, threshold_logit, union_masks, Mask, MaskError};
pub use overlay::{colour, draw_overlay, Caption, OverlayObject};
pub use pixels::{Gray16Image, Pixels};
pub use roi::Roi;
pub use sam::{SamInput, SamPreprocessor};
pub use view::ClipView;
