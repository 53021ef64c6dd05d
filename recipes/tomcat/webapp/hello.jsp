<%@ page contentType="text/html; charset=UTF-8" import="java.net.InetAddress, java.util.concurrent.atomic.AtomicInteger" %>
<%!
  /** How often the page was asked for since the appliance started. */
  private final AtomicInteger visits = new AtomicInteger();
%>
<%
  Integer own = (Integer) session.getAttribute("own");
  session.setAttribute("own", own == null ? 1 : own + 1);
  pageContext.setAttribute("visits", visits.incrementAndGet());
  pageContext.setAttribute("host", InetAddress.getLocalHost().getHostName());
%>
<!DOCTYPE html>
<html lang="en">
<head><title>Hello</title></head>
<body>
  <h1>Hello from ${host}</h1>
  <p><%= application.getServerInfo() %>, Java <%= Runtime.version() %></p>
  <p>Visit ${visits}, of which ${own} by you.</p>
</body>
</html>
