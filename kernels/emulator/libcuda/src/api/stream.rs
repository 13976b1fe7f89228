//! Streams, events, capture and graphs.

use super::{CallersMemory, Out, export, with};
use crate::driver::Command;
use crate::status::{Outcome, Status};

/// The answer to a query: what was still to come has been done by now, but is said to be late once.
fn ready(already: bool) -> Outcome {
    if already {
        Ok(())
    } else {
        Err(Status::NotReady.into())
    }
}

export! {
    fn cuStreamCreate(stream: Out<usize>, _flags: u32) {
        stream.put(with(|driver| Ok(driver.create_stream()))?)
    }

    fn cuStreamCreateWithPriority(stream: Out<usize>, _flags: u32, _priority: i32) {
        stream.put(with(|driver| Ok(driver.create_stream()))?)
    }

    fn cuStreamDestroy_v2(stream: usize) {
        with(|driver| driver.destroy_stream(stream))
    }

    fn cuStreamSynchronize(stream: usize) {
        with(|driver| driver.synchronise(Some(stream), &CallersMemory))
    }

    fn cuStreamQuery(stream: usize) {
        with(|driver| {
            let idle = driver.is_idle_stream(stream);
            driver.synchronise(Some(stream), &CallersMemory)?;
            ready(idle)
        })
    }

    fn cuStreamWaitEvent(stream: usize, event: usize, _flags: u32) {
        with(|driver| driver.wait(stream, event, &CallersMemory))
    }

    fn cuStreamIsCapturing(stream: usize, status: Out<i32>) {
        status.put(i32::from(with(|driver| driver.is_capturing(stream))?))
    }

    fn cuStreamBeginCapture_v2(stream: usize, _mode: i32) {
        with(|driver| driver.begin_capture(stream))
    }

    fn cuStreamEndCapture(stream: usize, graph: Out<usize>) {
        graph.put(with(|driver| driver.end_capture(stream))?)
    }

    fn cuLaunchHostFunc(stream: usize, function: usize, argument: usize) {
        let command = Command::Call(function, argument);
        with(|driver| driver.submit(stream, command, &CallersMemory))
    }

    fn cuEventCreate(event: Out<usize>, _flags: u32) {
        event.put(with(|driver| Ok(driver.create_event()))?)
    }

    fn cuEventDestroy_v2(event: usize) {
        with(|driver| driver.destroy_event(event))
    }

    fn cuEventRecord(event: usize, stream: usize) {
        let command = Command::Record { event, ticket: 0 };
        with(|driver| driver.submit(stream, command, &CallersMemory))
    }

    fn cuEventSynchronize(event: usize) {
        with(|driver| driver.reach(event, &CallersMemory)).map(drop)
    }

    fn cuEventQuery(event: usize) {
        let reached = with(|driver| driver.reach(event, &CallersMemory))?;
        ready(reached)
    }

    fn cuEventElapsedTime(milliseconds: Out<f32>, start: usize, end: usize) {
        milliseconds.put(with(|driver| driver.elapsed(start, end))?)
    }

    fn cuEventElapsedTime_v2(milliseconds: Out<f32>, start: usize, end: usize) {
        milliseconds.put(with(|driver| driver.elapsed(start, end))?)
    }

    fn cuGraphInstantiateWithFlags(executable: Out<usize>, graph: usize, _flags: u64) {
        executable.put(with(|driver| driver.instantiate(graph))?)
    }

    fn cuGraphUpload(_executable: usize, _stream: usize) {
        Ok(())
    }

    fn cuGraphLaunch(executable: usize, stream: usize) {
        with(|driver| driver.launch_graph(executable, stream, &CallersMemory))
    }

    fn cuGraphDestroy(graph: usize) {
        with(|driver| driver.destroy_graph(graph))
    }

    fn cuGraphExecDestroy(executable: usize) {
        with(|driver| driver.destroy_graph(executable))
    }
}
