"""What every other room stands on: files, processes, threads, memory, messages. It knows none of them."""
