//! The end of a conversation: everything is answered and finished, then everything is released, and
//! nothing may be left.

use super::*;

impl Conversation {
    /// Goes on until everything is answered and finished.
    pub(super) fn settle(&mut self) -> Check {
        for _ in 0..2000 {
            if self.deliver()? {
                continue;
            }
            self.sides.iter().flatten().for_each(|side| side.flush());
            let mut is_done = true;
            while self.answer_pending()? {
                is_done = false;
            }
            for peer in 0..self.peers.len() {
                let Some(side) = &self.sides[peer] else {
                    continue;
                };
                let mut world = lock(&self.world);
                let this = &mut self.peers[peer];
                let mut context = Context {
                    world: &mut world,
                    oracle: &mut self.oracle,
                    random: &mut self.random,
                    counts: &mut self.counts,
                };
                while this.resolve(&mut context)? {}
                while this.answer(&mut context)? {}
                while this.finish(false, &mut context) {}
                is_done &= lock(&side.output).is_empty() && this.is_quiet();
            }
            if is_done {
                return Ok(());
            }
        }
        let mut left = String::new();
        for (peer, side) in self.sides.iter().enumerate() {
            let Some(side) = side else { continue };
            let this = &self.peers[peer];
            let open = this.questions.values();
            let open = open.map(|one| (one.call, one.is_returned, one.finish, one.pins));
            let open: Vec<_> = open.collect();
            let waiting = this.answers.values();
            let waiting = waiting.filter(|answer| matches!(answer.state, State::Waiting));
            let waiting: Vec<CallId> = waiting.map(|answer| answer.call).collect();
            left += &format!(
                " peer {peer}: calls {open:?} are not finished, {waiting:?} wait; {:?}.",
                side.counts()
            );
        }
        Err(format!("something is never answered:{left}"))
    }

    /// Checks that each side holds what it must; then releases all of it, and checks that nothing is
    /// left.
    pub(super) fn leave(&mut self) -> Check {
        {
            let world = lock(&self.world);
            let hosts = &world.hosts;
            let is_dropped = |object: ObjectId| {
                let host = hosts.get(&object);
                host.is_some_and(|host| host.strong_count() == 0)
            };
            let open = self.sides.iter().enumerate();
            let open = open.filter(|(_, side)| side.is_some());
            for (peer, _) in open {
                for import in self.peers[peer].imports.values() {
                    if let Ref::Object(object) = import.object
                        && is_dropped(object)
                    {
                        return Err(format!(
                            "object {object}, which peer {peer} holds, is dropped"
                        ));
                    }
                }
            }
        }
        for (peer, side) in self.sides.iter().enumerate() {
            if let Some(side) = side {
                let (held, known) = (side.counts().exports, self.peers[peer].imports.len());
                if held != known {
                    return Err(format!("peer {peer} holds {known} objects, and not {held}"));
                }
            }
        }
        let held = std::mem::take(&mut lock(&self.world).held);
        drop(held);
        for _ in 0..2000 {
            let mut is_done = true;
            for (peer, this) in self.peers.iter_mut().enumerate() {
                if self.sides[peer].is_none() {
                    continue;
                }
                let mut context = Context {
                    world: &mut lock(&self.world),
                    oracle: &mut self.oracle,
                    random: &mut self.random,
                    counts: &mut self.counts,
                };
                while this.release(true, &mut context) {
                    is_done = false;
                }
            }
            self.sides.iter().flatten().for_each(|side| side.flush());
            while self.deliver()? {
                is_done = false;
            }
            if is_done {
                break;
            }
        }
        for (peer, this) in self.peers.iter().enumerate() {
            let Some(side) = &self.sides[peer] else {
                continue;
            };
            let counts = side.counts();
            if !vat::is_free(counts) {
                return Err(format!("peer {peer} has left, and there are {counts:?}"));
            }
            if let Some(export) = this.exports.iter().find(|export| export.references > 0) {
                let object = export.object;
                return Err(format!("the vat never releases object {object} of {peer}"));
            }
            if !this.embargoes.is_empty() {
                return Err("an embargo is never lifted".into());
            }
        }
        for side in &mut self.sides {
            let Some(side) = side.take() else { continue };
            side.close();
            let weak = Arc::downgrade(&side);
            drop(side);
            if weak.strong_count() > 0 {
                return Err("something keeps a connection that is over".into());
            }
        }
        let world = lock(&self.world);
        let mut hosts = world.hosts.iter();
        if let Some((object, _)) = hosts.find(|(_, host)| host.strong_count() > 0) {
            return Err(format!("object {object} is never dropped"));
        }
        match self.account.used(Resource::Bytes) {
            0 => Ok(()),
            used => Err(format!("{used} bytes are never given back")),
        }
    }
}
