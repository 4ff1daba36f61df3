"""Deletes what has lost its owners (upstream: pkg/controller/garbagecollector).

`graph` knows who owns whom, by events alone; `monitors` watches the metadata of everything that can be deleted; `controller` asks
the server before it believes the graph, and deletes, releases or waits.
"""
