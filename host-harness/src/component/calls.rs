//! The functions of an instance. Both contracts have the same ones, of the same types: what differs is the interface that
//! they stand in, and whether a component that waits in one of them holds up its caller.

use wasmtime::Store;
use wasmtime::component::{
    Component, ComponentExportIndex, ComponentNamedList, Instance, InstancePre, Lift, Lower, StreamReader,
};

use super::admission::Contract;
use super::guest::Guest;
use super::stream::{Element, Stream};
use crate::bindings::exports::pipeline::source::source as wit;

/// Where a component has the functions of its contract.
#[derive(Clone)]
pub(super) struct Functions {
    describe: ComponentExportIndex,
    configure: ComponentExportIndex,
    check: ComponentExportIndex,
    poll: ComponentExportIndex,
    /// Of the asynchronous contract alone.
    follow: Option<ComponentExportIndex>,
    suspend: ComponentExportIndex,
    resume: ComponentExportIndex,
    confine: ComponentExportIndex,
    is_complete: ComponentExportIndex,
}

impl Functions {
    /// # Errors
    ///
    /// Which one it lacks.
    pub(super) fn of(component: &Component, contract: Contract) -> Result<Self, String> {
        let interface = component.get_export_index(None, contract.export());
        let find = |name| {
            let found = component.get_export_index(interface.as_ref(), name);
            found.ok_or_else(|| {
                let missing = format!("there is no `{name}` in its `{}`", contract.export());
                // What it has of the contract is that of an earlier day.
                let is_older = component.get_export_index(interface.as_ref(), "describe").is_some();
                let advice = "; it is older than this host: take a component and a host that belong together";
                if is_older { missing + advice } else { missing }
            })
        };
        Ok(Self {
            describe: find("describe")?,
            configure: find("configure")?,
            check: find("check")?,
            poll: find("poll")?,
            follow: match contract {
                Contract::Source => None,
                Contract::AsyncSource => Some(find("follow")?),
            },
            suspend: find("suspend")?,
            resume: find("resume")?,
            confine: find("confine")?,
            is_complete: find("is-complete")?,
        })
    }
}

/// What an instance is made of.
#[derive(Clone)]
pub(crate) struct Code {
    pub(super) pre: InstancePre<Guest>,
    pub(super) functions: Functions,
}

/// An instance, and where its functions are.
pub(super) struct Calls {
    instance: Instance,
    functions: Functions,
}

type Returned<T> = wasmtime::Result<T>;

impl Calls {
    pub(super) async fn instantiate(code: &Code, store: &mut Store<Guest>) -> Returned<Self> {
        let instance = code.pre.instantiate_async(store).await?;
        Ok(Self { instance, functions: code.functions.clone() })
    }

    pub(super) async fn describe(&self, store: &mut Store<Guest>) -> Returned<wit::Description> {
        self.call(store, &self.functions.describe, ()).await
    }

    pub(super) async fn configure(
        &self,
        store: &mut Store<Guest>,
        config: &str,
    ) -> Returned<Result<wit::Grants, Vec<wit::Problem>>> {
        self.call(store, &self.functions.configure, (config,)).await
    }

    pub(super) async fn check(&self, store: &mut Store<Guest>) -> Returned<Vec<wit::Finding>> {
        self.call(store, &self.functions.check, ()).await
    }

    pub(super) async fn poll(
        &self,
        store: &mut Store<Guest>,
        state: Option<&str>,
    ) -> Returned<Result<wit::Batch, wit::Failure>> {
        self.call(store, &self.functions.poll, (state,)).await
    }

    /// Begins to follow, if the component can.
    pub(super) async fn follow(
        &self,
        store: &mut Store<Guest>,
        state: Option<&str>,
    ) -> Returned<Option<Stream>> {
        let Some(follow) = &self.functions.follow else { return Ok(None) };
        let stream: StreamReader<Element> = self.call(store, follow, (state,)).await?;
        Stream::of(stream, store).map(Some)
    }

    /// The next element of what is followed; nothing at its end.
    pub(super) async fn next(&self, store: &mut Store<Guest>, stream: &Stream) -> Returned<Option<Element>> {
        stream.next(store).await
    }

    pub(super) async fn suspend(&self, store: &mut Store<Guest>) -> Returned<Option<String>> {
        self.call(store, &self.functions.suspend, ()).await
    }

    pub(super) async fn resume(&self, store: &mut Store<Guest>, session: &str) -> Returned<()> {
        let resume = self.instance.get_typed_func::<(&str,), ()>(&mut *store, &self.functions.resume)?;
        resume.call_async(store, (session,)).await
    }

    pub(super) async fn confine(
        &self,
        store: &mut Store<Guest>,
        range: wit::TimeRange,
    ) -> Returned<Result<(), wit::Problem>> {
        self.call(store, &self.functions.confine, (range,)).await
    }

    pub(super) async fn is_complete(&self, store: &mut Store<Guest>, state: &str) -> Returned<bool> {
        self.call(store, &self.functions.is_complete, (state,)).await
    }

    /// Fails without a call if the function is of another type.
    async fn call<P, R>(
        &self,
        store: &mut Store<Guest>,
        function: &ComponentExportIndex,
        parameters: P,
    ) -> Returned<R>
    where
        P: ComponentNamedList + Lower + Send + Sync,
        R: Lift + Send + Sync + 'static,
        (R,): ComponentNamedList + Lift,
    {
        let function = self.instance.get_typed_func::<P, (R,)>(&mut *store, function)?;
        let (returned,) = function.call_async(store, parameters).await?;
        Ok(returned)
    }
}
