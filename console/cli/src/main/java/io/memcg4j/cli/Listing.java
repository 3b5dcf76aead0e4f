package io.memcg4j.cli;

/**
 * A resource of the console that is a table: as its text, or as one object for each of its rows.
 */
final class Listing {
  private Listing() {}

  static int print(Main main, Connection connection, String resource, String rows) {
    if (main.isJson()) {
      for (Object row : Json.list(connection.json(resource + "?format=json").get(rows))) {
        main.out().println(Json.write(row));
      }
    } else {
      main.out().print(Printable.text(connection.text(resource)));
    }
    return Main.OK;
  }
}
