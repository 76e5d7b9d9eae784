//! Messages in a few words, for tests to compare.

use capnp_rpc::rpc_capnp::{exception, message, resolve, return_};

/// Describes a message in a few words.
pub fn describe(root: message::Reader<'_>) -> String {
    use capnp_rpc::rpc_capnp::cap_descriptor::Which as Cap;
    match root.which().unwrap() {
        message::Bootstrap(bootstrap) => {
            format!("bootstrap {}", bootstrap.unwrap().get_question_id())
        }
        message::Call(call) => {
            let call = call.unwrap();
            format!(
                "call {} method {}",
                call.get_question_id(),
                call.get_method_id()
            )
        }
        message::Return(answer) => {
            let answer = answer.unwrap();
            let what = match answer.which().unwrap() {
                return_::Results(results) => {
                    let table = results.unwrap().get_cap_table().unwrap();
                    let caps: Vec<String> = table
                        .iter()
                        .map(|cap| match cap.which().unwrap() {
                            Cap::SenderHosted(id) => format!("hosted {id}"),
                            Cap::SenderPromise(id) => format!("promised {id}"),
                            Cap::ReceiverHosted(id) => format!("yours {id}"),
                            _ => "other".into(),
                        })
                        .collect();
                    format!("results [{}]", caps.join(", "))
                }
                return_::Exception(exception) => kind(exception.unwrap()),
                return_::ResultsSentElsewhere(()) => "elsewhere".into(),
                _ => "other".into(),
            };
            format!("return {} {what}", answer.get_answer_id())
        }
        message::Finish(finish) => format!("finish {}", finish.unwrap().get_question_id()),
        message::Release(release) => {
            let release = release.unwrap();
            format!(
                "release {} by {}",
                release.get_id(),
                release.get_reference_count()
            )
        }
        message::Resolve(resolve) => {
            let resolve = resolve.unwrap();
            let what = match resolve.which().unwrap() {
                resolve::Cap(_) => "kept".into(),
                resolve::Exception(exception) => kind(exception.unwrap()),
            };
            format!("resolve {} {what}", resolve.get_promise_id())
        }
        message::Disembargo(_) => "disembargo".into(),
        message::Abort(abort) => format!("abort {}", kind(abort.unwrap())),
        message::Unimplemented(_) => "unimplemented".into(),
        _ => "other".into(),
    }
}

fn kind(exception: exception::Reader<'_>) -> String {
    format!(
        "{:?}: {}",
        exception.get_type().unwrap(),
        exception.get_reason().unwrap().to_str().unwrap()
    )
}
