"""What all other rooms build on: files, processes, threads, memory, messages. It imports none of them."""
